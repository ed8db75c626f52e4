import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { xchacha20Poly1305Open, xchacha20Poly1305Seal } from '../../src/crypto/xchacha20-poly1305.ts';

// What src/crypto takes from @noble because OpenSSL lacks it, against OpenSSL's parts of it.

const some = fc.uint8Array({ maxLength: 300 });
const exactly = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
describe('primitives of @noble against OpenSSL', () => {
  it('XChaCha20-Poly1305 is ChaCha20-Poly1305 under the HChaCha20 subkey', () => {
    fc.assert(
      fc.property(exactly(32), exactly(24), some, some, (key, nonce, aad, plaintext) => {
        const subKey = hChaCha20(key, nonce.subarray(0, 16));
        const innerNonce = Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]);
        const cipher = createCipheriv('chacha20-poly1305', subKey, innerNonce, { authTagLength: 16 });
        cipher.setAAD(aad, { plaintextLength: plaintext.length });
        const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
        const expected = new Uint8Array(Buffer.concat([body, cipher.getAuthTag()]));
        const sealed = xchacha20Poly1305Seal(key, nonce, aad, plaintext);
        expect(sealed).toEqual(expected);
        expect(xchacha20Poly1305Open(key, nonce, aad, sealed)).toEqual(plaintext);
      }),
      { numRuns: 60 },
    );
  });
});

/** HChaCha20 (draft-irtf-cfrg-xchacha-03 section 2.2) by OpenSSL: the ChaCha20 block without its final addition. */
function hChaCha20(key: Uint8Array, nonce16: Uint8Array): Uint8Array {
  // OpenSSL's 16-byte IV is the block counter (little-endian) and the 12-byte nonce: words 12 to 15 of the state.
  const block = createCipheriv('chacha20', key, nonce16).update(Buffer.alloc(64));
  const constants = Buffer.from('expand 32-byte k');
  const out = Buffer.alloc(32);
  for (let word = 0; word < 4; word++) {
    const first = (block.readUInt32LE(word * 4) - constants.readUInt32LE(word * 4)) >>> 0;
    const last = (block.readUInt32LE(48 + word * 4) - Buffer.from(nonce16).readUInt32LE(word * 4)) >>> 0;
    out.writeUInt32LE(first, word * 4);
    out.writeUInt32LE(last, 16 + word * 4);
  }
  return new Uint8Array(out);
}
