import { describe, expect, it } from 'vitest';
import { explore } from './explorer.ts';
import { allMarkRules, MarkChangeModel, type MarkRules } from './mark-change.ts';

const LONG = { timeout: 300_000 };
const MAX_STATES = 1_000_000;

const search = (sets: readonly string[], rules: MarkRules) =>
  explore(new MarkChangeModel(sets, rules), { maxStates: MAX_STATES });

describe('marks while the holders change, with all rules, every mix of views', () => {
  it.each([
    ['a set is replaced whole', ['ab', 'cd']],
    ['one of two is replaced', ['ab', 'bc']],
    ['the ring grows', ['a', 'ab', 'abc']],
    ['the ring shrinks', ['ab', 'a']],
  ] as const)('%s: no two attempts have one', LONG, (_, sets) => {
    const { trace, isExhausted } = search(sets, allMarkRules);
    expect(trace).toBeUndefined();
    expect(isExhausted).toBe(true);
  });
});

describe('marks with one rule switched off: two attempts have one', () => {
  it.each([
    ['takesMarks', ['ab', 'cd']],
    ['contests', ['ab', 'cd']],
    ['waitsForComplete', ['ab', 'cd']],
    ['fetchesAfterAdoption', ['ab', 'cd']],
    ['refusesOthers', ['ab', 'cd']],
  ] as const)('%s', LONG, (rule, sets) => {
    const { trace } = search(sets, { ...allMarkRules, [rule]: false });
    expect(trace?.at(-1)).toContain('TWO ATTEMPTS');
  });
});
