import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import {
  generateX25519KeyPair,
  hasSmallOrder,
  X25519PeerKey,
  x25519KeyPairFromSecret,
} from '../../../src/crypto/x25519.ts';

const p = 2n ** 255n - 19n;
const littleEndian = (value: bigint): Uint8Array =>
  new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse());
const orderEight = [
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
];
/** cr.yp.to/ecdh.html: every u below 2^255 that X25519 takes to zero. */
const smallOrder = [0n, 1n, ...orderEight, p - 1n, p, p + 1n];
const secret = x25519KeyPairFromSecret(new Uint8Array(32).fill(7)).privateKey;
const highBit = (key: Uint8Array): Uint8Array => key.with(31, (key[31] ?? 0) | 0x80);

describe('points of small order', () => {
  it.each(smallOrder.map((u) => toHex(littleEndian(u))))('%s, with and without the ignored bit', (hex) => {
    const key = new Uint8Array(Buffer.from(hex, 'hex'));
    for (const form of [key, highBit(key)]) {
      expect(hasSmallOrder(form)).toBe(true);
      expect(secret.diffieHellman(form)).toBeUndefined();
      expect(secret.diffieHellman(new X25519PeerKey(form))).toBeUndefined();
    }
  });

  it('are exactly the points with a Diffie-Hellman result that OpenSSL refuses', () => {
    const near = fc.tuple(fc.constantFrom(...smallOrder), fc.integer({ min: -40, max: 40 }));
    const key = fc.oneof(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      near.map(([u, offset]) => littleEndian((u + BigInt(offset) + 2n ** 255n) % 2n ** 255n)),
    );
    fc.assert(
      fc.property(key, (candidate) => {
        expect(hasSmallOrder(candidate)).toBe(secret.diffieHellman(candidate) === undefined);
      }),
      { numRuns: 500 },
    );
  });

  it('are not generated as keys; another length is misuse', () => {
    for (let index = 0; index < 50; index++)
      expect(hasSmallOrder(generateX25519KeyPair().publicKey)).toBe(false);
    expect(() => hasSmallOrder(new Uint8Array(31))).toThrow(RangeError);
  });
});
