import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { xchacha20Poly1305Open, xchacha20Poly1305Seal } from '../../src/crypto/xchacha20-poly1305.ts';
import { XChaCha20Key } from '../../src/crypto/xchacha20-key.ts';

const bytes = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength });

describe('XChaCha20Key, by HChaCha20 and OpenSSL, against XChaCha20-Poly1305 of noble', () => {
  it('seals to the same bytes, and opens the same', () => {
    fc.assert(
      fc.property(bytes(32), bytes(24), bytes(0, 64), bytes(0, 300), (key, nonce, aad, plaintext) => {
        const cipher = new XChaCha20Key(key);
        const sealed = new Uint8Array(plaintext.length + 40);
        cipher.sealInto(sealed, 0, nonce, aad, plaintext);
        const expected = xchacha20Poly1305Seal(key, nonce, aad, plaintext);
        expect(sealed).toEqual(Uint8Array.of(...nonce, ...expected));
        expect(xchacha20Poly1305Open(key, nonce, aad, sealed.subarray(24))).toEqual(plaintext);
        expect(new Uint8Array(cipher.open(sealed, aad) ?? [])).toEqual(plaintext);
        expect(cipher.decryptAuthenticated(sealed, plaintext.length)).toEqual(plaintext);
      }),
      { numRuns: 200 },
    );
  });

  it('opens nothing that was altered, and nothing after wiping', () => {
    fc.assert(
      fc.property(bytes(32), bytes(60, 120), fc.nat(), (key, plaintext, place) => {
        const cipher = new XChaCha20Key(key);
        const aad = Uint8Array.of(1, 2);
        const sealed = new Uint8Array(plaintext.length + 40);
        cipher.sealInto(sealed, 0, new Uint8Array(24).fill(3), aad, plaintext);
        const at = place % sealed.length;
        expect(cipher.open(sealed.with(at, (sealed[at] ?? 0) ^ 0x80), aad)).toBeUndefined();
        expect(cipher.open(sealed, Uint8Array.of(1, 3))).toBeUndefined();
        expect(cipher.open(sealed.subarray(0, 39), aad)).toBeUndefined();
        cipher.wipe();
        expect(() => cipher.open(sealed, aad)).toThrow(TypeError);
      }),
    );
  });
});
