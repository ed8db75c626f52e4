import { describe, expect, it } from 'vitest';
import { isBlocked, isWritten } from '../../../src/ring/placement/configuration.ts';

const OLD = ['a', 'b', 'c', 'd'];
const NEW = ['c', 'd', 'e', 'f'];

describe('holders that refuse a write', () => {
  it('stop it when the others are no write quorum, and no sooner', () => {
    expect(isBlocked([OLD], new Set())).toBe(false);
    for (const one of OLD) {
      expect(isBlocked([OLD], new Set([one]))).toBe(false);
      expect(isWritten([OLD], new Set(OLD.filter((other) => other !== one)))).toBe(true);
      for (const other of OLD) if (other !== one) expect(isBlocked([OLD], new Set([one, other]))).toBe(true);
    }
    expect(isBlocked([['a']], new Set(['a']))).toBe(true);
    expect(isBlocked([['a', 'b', 'c']], new Set(['a']))).toBe(false);
  });

  it('are counted for each set of a change, and strangers for none', () => {
    expect(isBlocked([OLD, NEW], new Set(['a', 'e']))).toBe(false);
    expect(isBlocked([OLD, NEW], new Set(['a', 'b']))).toBe(true);
    expect(isBlocked([OLD, NEW], new Set(['e', 'f']))).toBe(true);
    expect(isBlocked([OLD, NEW], new Set(['x', 'y', 'z']))).toBe(false);
  });
});
