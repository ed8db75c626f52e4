import { describe, expect, it } from 'vitest';
import { explore } from './explorer.ts';
import { allMarkRules, MarkChangeModel, type MarkRules } from './mark-change.ts';

const LONG = { timeout: 300_000 };
const MAX_STATES = 3_000_000;

const search = (sets: readonly string[], rules: MarkRules) =>
  explore(new MarkChangeModel(sets, rules), { maxStates: MAX_STATES });

describe('marks while the holders change, with all rules, every mix of views', () => {
  it.each([
    ['a set is replaced whole', ['ab', 'cd']],
    ['two holders of three are replaced by one', ['abc', 'cd']],
    ['one holder of two is replaced by two', ['ab', 'bcd']],
    ['one is replaced, and then another one', ['ab', 'bc', 'cd']],
    ['the ring grows', ['a', 'ab', 'abc']],
    ['the ring shrinks', ['abc', 'ab', 'a']],
  ] as const)('%s: no two attempts have one', LONG, (_, sets) => {
    const { trace, isExhausted } = search(sets, allMarkRules);
    expect(trace).toBeUndefined();
    expect(isExhausted).toBe(true);
  });
});

describe('marks with one rule switched off: two attempts have one', () => {
  it.each([
    ['takesMarks', ['abc', 'cde']],
    ['contests', ['abc', 'cde']],
    ['waitsForComplete', ['ab', 'cd']],
    ['fetchesAfterAdoption', ['ab', 'cd']],
    ['refusesOthers', ['ab', 'cd']],
  ] as const)('%s', LONG, (rule, sets) => {
    const { trace } = search(sets, { ...allMarkRules, [rule]: false });
    expect(trace?.at(-1)).toContain('TWO ATTEMPTS');
  });
});
