import { describe, expect, it } from 'vitest';
import { explore } from './explorer.ts';
import { allRingRules, RingChangeModel, type RingRules } from './ring-change.ts';

const LONG = { timeout: 300_000 };
const MAX_STATES = 200_000;

type Sets = readonly [string, string, string];

const search = (sets: Sets, rules: RingRules) =>
  explore(new RingChangeModel(sets, rules), { maxStates: MAX_STATES });

describe('I9: two changes of one set, with all rules, every mix of views', () => {
  it.each([
    ['two members are replaced by two', ['ab', 'bc', 'cd']],
    ['one leaves and comes back', ['ab', 'bc', 'ab']],
    ['the ring grows', ['a', 'ab', 'abc']],
    ['the ring shrinks', ['abc', 'ab', 'a']],
    ['a set is replaced whole', ['ab', 'cd', 'ab']],
  ] as const)('%s: no read is stale', LONG, (_, sets) => {
    const { trace, isExhausted } = search(sets, allRingRules);
    expect(trace).toBeUndefined();
    expect(isExhausted).toBe(true);
  });
});

describe('I9: with one rule switched off a stale read is found', () => {
  it.each([
    ['writesToBoth', ['ab', 'bc', 'cd']],
    ['waitsForComplete', ['ab', 'bc', 'cd']],
    ['fetchesAfterAdoption', ['ab', 'bc', 'cd']],
    ['refusesOthers', ['ab', 'bc', 'cd']],
  ] as const)('%s', LONG, (rule, sets) => {
    const { trace } = search(sets, { ...allRingRules, [rule]: false });
    expect(trace?.at(-1)).toContain('STALE READ');
  });
});
