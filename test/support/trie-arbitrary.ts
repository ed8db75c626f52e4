import fc from 'fast-check';
import { toHex } from '../../src/bytes/hex.ts';
import type { TrieContent } from './trie-builder.ts';

/** Short keys over few bytes share prefixes and lie on branches; long ones have long partial keys. */
const key = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(fc.constantFrom(0x00, 0x01, 0x10, 0x1f, 0xff), { minLength: 0, maxLength: 5 }),
  },
  { weight: 2, arbitrary: fc.array(fc.nat({ max: 255 }), { minLength: 1, maxLength: 40 }) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom(0, 1), { minLength: 150, maxLength: 160 }) },
);

/** Around what is inline and what is hashed: 0 to 40 bytes, and a few of kilobytes. */
const value = fc.oneof(
  { weight: 3, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 8 }) },
  { weight: 3, arbitrary: fc.uint8Array({ minLength: 28, maxLength: 40 }) },
  { weight: 1, arbitrary: fc.nat({ max: 255 }).map((byte) => new Uint8Array(5000).fill(byte)) },
);

/** Contents of a small trie; may be empty. */
export const trieContent: fc.Arbitrary<TrieContent> = fc
  .array(fc.tuple(key, value), { maxLength: 24 })
  .map((pairs) => new Map(pairs.map(([bytes, content]) => [toHex(Uint8Array.from(bytes)), content])));
