import { describe, expect, it } from 'vitest';
import {
  addProduct,
  invertPublic,
  multiplyPublic,
  packPlanes,
  unpackPlanes,
  zeroPlanes,
} from '../../src/crypto/gf256-planes.ts';
import { combineShares } from '../../src/crypto/shamir.ts';

/** Made by shamir-secret-sharing 0.0.4 with t = 3 and n = 5. */
const secret = '01080f161d242b323940474e555c636a71787f868d949ba2a9b0b7bec5ccd3da';
const shares = [
  'e4d9e1ed3ec4c3fe48569ec893b5c56e42481ba09d05e90f16b13264bf573bb754',
  'c3c0430fed800f65321584f0fcb40b8c2705428399bb1d23b0581b14d9b12a5448',
  'a47c4799ecc550c2443c02d21b71d5b8d54acffc11f7ef149c78df61b1a559d057',
  '7091441832866dd6f722a2781f68e1a8259c2328e9f455eed2e2b671b9683822fe',
  '951549c67b816e28f5535378d8c27d0d78f602e5cb21c7e19cf4c617f0e67b12b8',
].map((hex) => new Uint8Array(Buffer.from(hex, 'hex')));

describe('shares of an earlier version', () => {
  it('any three of the five give the secret', () => {
    let combinations = 0;
    for (const [i, a] of shares.entries())
      for (const [j, b] of shares.entries())
        for (const [k, c] of shares.entries()) {
          if (i >= j || j >= k) continue;
          combinations++;
          expect(Buffer.from(combineShares([a, b, c], 3)).toString('hex')).toBe(secret);
        }
    expect(combinations).toBe(10);
  });
});

describe('arithmetic in GF(2^8)', () => {
  /** The examples of FIPS 197 section 4.2 and 4.2.1. */
  const products = [
    [0x57, 0x83, 0xc1],
    [0x57, 0x13, 0xfe],
    [0x57, 0x02, 0xae],
    [0x57, 0x04, 0x47],
    [0x57, 0x08, 0x8e],
    [0x57, 0x10, 0x07],
  ] as const;

  it.each(products)('%i times %i', (a, b, product) => {
    expect(multiplyPublic(a, b)).toBe(product);
    const sum = zeroPlanes();
    const planes = zeroPlanes();
    packPlanes(new Uint8Array(32).fill(a), planes);
    addProduct(sum, planes, b);
    const bytes = new Uint8Array(32);
    unpackPlanes(sum, bytes);
    expect(bytes).toEqual(new Uint8Array(32).fill(product));
  });

  it('bit planes give the same products as single elements, for all 2^16 pairs', () => {
    for (let factor = 0; factor < 256; factor++) {
      for (let first = 0; first < 256; first += 32) {
        const values = Uint8Array.from({ length: 32 }, (_, at) => first + at);
        const sum = zeroPlanes();
        const planes = zeroPlanes();
        packPlanes(values, planes);
        addProduct(sum, planes, factor);
        const bytes = new Uint8Array(32);
        unpackPlanes(sum, bytes);
        expect(bytes).toEqual(values.map((value) => multiplyPublic(value, factor)));
      }
    }
  });

  it('every element but 0 has its inverse', () => {
    for (let a = 1; a < 256; a++) expect(multiplyPublic(a, invertPublic(a))).toBe(1);
  });
});
