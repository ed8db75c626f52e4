import { describe, expect, it } from 'vitest';
import { explore, startAfter } from './explorer.ts';
import { allLeaseRules, type LeaseBounds, LeaseModel, type LeaseRules } from './lease.ts';

const LONG = { timeout: 300_000 };
const MAX_STATES = 1_000_000;

const three: LeaseBounds = { slots: 3, threshold: 2, others: 0, leaseTicks: 1, ticks: 3, restarts: 0 };
const two: LeaseBounds = { ...three, slots: 2, threshold: 1, leaseTicks: 2, ticks: 5 };
/** Of four slots two are lost: another instance may hold at these servers and one more. */
const lost: LeaseBounds = { slots: 4, threshold: 3, others: 1, leaseTicks: 1, ticks: 2, restarts: 2 };

const restarted = ['s0 restarts', 's1 restarts'];

const search = (bounds: LeaseBounds, rules: LeaseRules) =>
  explore(startAfter(new LeaseModel(rules, bounds), bounds === lost ? restarted : []), {
    maxStates: MAX_STATES,
  });

describe('a lease with all rules: two instances never write at the same time', () => {
  it.each([
    ['three slots', three],
    ['a lost slot', { ...three, ticks: 2, restarts: 1, others: 1 }],
    ['two slots of which one opens the store', two],
    ['so many lost slots that another instance holds by new ones', lost],
  ])('%s', LONG, (_, bounds) => {
    const { trace, isExhausted } = search(bounds, allLeaseRules);
    expect(trace).toBeUndefined();
    expect(isExhausted).toBe(true);
  });
});

describe('a lease with one rule switched off: two writers are found', () => {
  it.each([
    ['waits', three],
    ['countsFromQuestion', three],
    ['needsOverlap', two],
    ['needsThreshold', lost],
  ] as const)('%s', LONG, (rule, bounds) => {
    const { trace } = search(bounds, { ...allLeaseRules, [rule]: false });
    expect(trace?.at(-1)).toContain('TWO WRITERS');
  });
});
