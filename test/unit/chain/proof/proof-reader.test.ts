import { describe, expect, it } from 'vitest';
import { compact } from '../../../../devnet/chain/scale.ts';
import { ProofReader } from '../../../../src/chain/proof/proof-reader.ts';
import { codeOf } from '../../../support/thrown.ts';

const reader = (...bytes: number[]): ProofReader => new ProofReader(Uint8Array.from(bytes), 'test');

describe('strict SCALE', () => {
  it('reads integers little-endian, and whole values only', () => {
    const all = reader(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    expect([all.u8('a'), all.u16('b'), all.u32('c'), all.u64('d')]).toEqual([
      1,
      0x0302,
      0x07060504,
      0x0f0e0d0c0b0a0908n,
    ]);
    all.end();
    expect(codeOf(() => reader(1, 2, 3).u32('short'))).toBe('CHAIN_PROOF_INVALID');
    expect(codeOf(() => reader(1).end())).toBe('CHAIN_PROOF_INVALID');
  });

  it.each([0, 1, 63, 64, 2 ** 14 - 1, 2 ** 14, 2 ** 30 - 1])('reads the compact integer %i', (value) => {
    expect(new ProofReader(compact(value), 'test').compactU32('n')).toBe(value);
  });

  it('reads compact integers up to the largest u32', () => {
    expect(reader(3, 0, 0, 0, 0x40).compactU32('n')).toBe(2 ** 30);
    expect(reader(3, 0xff, 0xff, 0xff, 0xff).compactU32('n')).toBe(2 ** 32 - 1);
  });

  it.each([
    ['63 in two bytes', [0xfd, 0]],
    ['2^14 - 1 in four bytes', [0xfe, 0xff, 0, 0]],
    ['2^30 - 1 in five bytes', [3, 0xff, 0xff, 0xff, 0x3f]],
    ['more than 32 bits', [7, 0, 0, 0, 0, 1]],
    ['an integer that is cut', [2, 0]],
    ['nothing', []],
  ])('refuses %s', (_name, bytes) => {
    expect(codeOf(() => reader(...bytes).compactU32('n'))).toBe('CHAIN_PROOF_INVALID');
  });

  it('refuses lengths above the remaining bytes before it allocates memory', () => {
    expect(reader(8, 1, 2).count(1, 'n')).toBe(2);
    expect(codeOf(() => reader(3, 0xff, 0xff, 0xff, 0xff).count(132, 'n'))).toBe('CHAIN_PROOF_INVALID');
    expect(codeOf(() => reader(8, 1).byteString('n'))).toBe('CHAIN_PROOF_INVALID');
  });
});
