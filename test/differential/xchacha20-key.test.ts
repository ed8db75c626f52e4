import { hchacha, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chachaRounds } from '../../src/crypto/chacha-rounds.ts';
import { hchacha20, hchacha20ByOpenSsl } from '../../src/crypto/hchacha20.ts';
import { XChaCha20Key } from '../../src/crypto/xchacha20-key.ts';
import { xchacha20Poly1305Open, xchacha20Poly1305Seal } from '../../src/crypto/xchacha20-poly1305.ts';

const bytes = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength });

const words = (content: Uint8Array): Uint32Array => new Uint32Array(Uint8Array.from(content).buffer);
const sigma = words(new TextEncoder().encode('expand 32-byte k'));

describe.each([
  ['by WebAssembly', hchacha20],
  ['by OpenSSL', hchacha20ByOpenSsl],
])('HChaCha20 %s', (_, hchacha20) => {
  it('equals that of noble for thousands of inputs', () => {
    const same = (key: Uint8Array, nonce: Uint8Array) => {
      const subkey = new Uint8Array(32);
      hchacha20(key, nonce, subkey);
      const expected = new Uint32Array(8);
      hchacha(sigma, words(key), words(nonce), expected);
      expect(subkey).toEqual(new Uint8Array(expected.buffer));
    };
    for (const fill of [0, 0xff]) same(new Uint8Array(32).fill(fill), new Uint8Array(16).fill(fill));
    fc.assert(fc.property(bytes(32), bytes(16), same), { numRuns: 5000 });
  });

  it('gives the subkey of draft-irtf-cfrg-xchacha-03 section 2.2.1', () => {
    const subkey = new Uint8Array(32);
    const key = Uint8Array.from({ length: 32 }, (_, at) => at);
    hchacha20(key, Buffer.from('000000090000004a0000000031415927', 'hex'), subkey);
    expect(Buffer.from(subkey).toString('hex')).toBe(
      '82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc',
    );
  });
});

describe('the memory of the rounds', () => {
  it('is there, and holds nothing of a key between two calls', () => {
    const key = new XChaCha20Key(new Uint8Array(32).fill(0x77));
    key.decryptFirst(new Uint8Array(104).fill(1), new Uint8Array(64), 64);
    hchacha20(new Uint8Array(32).fill(0x77), new Uint8Array(16).fill(1), new Uint8Array(32));
    expect(chachaRounds()?.memory.every((byte) => byte === 0)).toBe(true);
  });
});

describe('XChaCha20Key, by OpenSSL, against XChaCha20-Poly1305 of noble', () => {
  it('seals to the same bytes, and opens to the same plaintext', () => {
    fc.assert(
      fc.property(bytes(32), bytes(24), bytes(0, 64), bytes(0, 300), (key, nonce, aad, plaintext) => {
        const cipher = new XChaCha20Key(key);
        const sealed = new Uint8Array(plaintext.length + 40);
        cipher.sealInto(sealed, 0, nonce, aad, plaintext);
        const expected = xchacha20poly1305(key, nonce, aad).encrypt(plaintext);
        expect(xchacha20Poly1305Seal(key, nonce, aad, plaintext)).toEqual(expected);
        expect(sealed).toEqual(Uint8Array.of(...nonce, ...expected));
        expect(xchacha20Poly1305Open(key, nonce, aad, sealed.subarray(24))).toEqual(plaintext);
        expect(new Uint8Array(cipher.open(sealed, aad) ?? [])).toEqual(plaintext);
        expect(cipher.decryptAuthenticated(sealed, plaintext.length)).toEqual(plaintext);
        const first = new Uint8Array(plaintext.length + 1).fill(0xee);
        cipher.decryptFirst(sealed, first, plaintext.length);
        expect(first).toEqual(Uint8Array.of(...plaintext, 0xee));
      }),
      { numRuns: 200 },
    );
  });

  it('opens no altered message, and no message after wiping', () => {
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
        expect(() => cipher.decryptFirst(sealed, new Uint8Array(8), 8)).toThrow(TypeError);
      }),
    );
  });
});
