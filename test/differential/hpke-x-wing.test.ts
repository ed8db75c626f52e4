import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, HkdfSha256 } from '@hpke/core';
import { XWing } from '@hpke/hybridkem-x-wing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { xWingPublicKey } from '../../src/crypto/x-wing.ts';
import { openWithXWing, sealToXWing } from '../../src/hpke/hpke-x-wing.ts';

const suite = new CipherSuite({
  kem: new XWing(),
  kdf: new HkdfSha256(),
  aead: new Chacha20Poly1305(),
});

/** The library wants plain ArrayBuffers of exactly the content. */
const buffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

const message = fc.record({
  seed: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  info: fc.uint8Array({ maxLength: 100 }),
  aad: fc.uint8Array({ maxLength: 100 }),
  plaintext: fc.uint8Array({ maxLength: 300 }),
});

describe('HPKE with X-Wing against @hpke/hybridkem-x-wing', () => {
  it('each side opens a message that the other sealed', async () => {
    await fc.assert(
      fc.asyncProperty(message, async ({ seed, info, aad, plaintext }) => {
        const recipientPublicKey = xWingPublicKey(seed);
        const privateKey = await suite.kem.importKey('raw', buffer(seed), false);
        const publicKey = await suite.kem.importKey('raw', buffer(recipientPublicKey), true);
        const sealed = sealToXWing({ recipientPublicKey, info, aad, plaintext });
        const openedByLibrary = await suite.open(
          { recipientKey: privateKey, enc: buffer(sealed.enc), info: buffer(info) },
          buffer(sealed.ciphertext),
          buffer(aad),
        );
        expect(new Uint8Array(openedByLibrary)).toEqual(plaintext);
        const sealedByLibrary = await suite.seal(
          { recipientPublicKey: publicKey, info: buffer(info) },
          buffer(plaintext),
          buffer(aad),
        );
        const { enc, ct } = sealedByLibrary;
        const opened = openWithXWing({
          seed,
          enc: new Uint8Array(enc),
          ciphertext: new Uint8Array(ct),
          info,
          aad,
        });
        expect(opened).toEqual(plaintext);
      }),
      { numRuns: 10 },
    );
  });

  it('opens to nothing with another seed, info, associated data or tag', () => {
    const seed = new Uint8Array(32).fill(7);
    const info = Uint8Array.of(1);
    const aad = Uint8Array.of(2);
    const plaintext = Uint8Array.of(3);
    const sealed = sealToXWing({ recipientPublicKey: xWingPublicKey(seed), info, aad, plaintext });
    const genuine = { ...sealed, seed, info, aad };
    expect(openWithXWing(genuine)).toEqual(plaintext);
    expect(openWithXWing({ ...genuine, seed: new Uint8Array(32) })).toBeUndefined();
    expect(openWithXWing({ ...genuine, info: aad })).toBeUndefined();
    expect(openWithXWing({ ...genuine, aad: info })).toBeUndefined();
    const ciphertext = Uint8Array.from(sealed.ciphertext, (byte, at) => (at === 1 ? byte ^ 1 : byte));
    expect(openWithXWing({ ...genuine, ciphertext })).toBeUndefined();
  });
});
