import { describe, expect, it } from 'vitest';
import { runSchedule } from '../support/simulated-network-schedule.ts';

const FIRST_SEED = 1;
const RUNS = 24;

/** Thousands of runs: `npx tsx scripts/simulate.ts --runs N --seed S`. */
describe('random lives of a network, in virtual time', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
    it(`seed ${seed} breaks no invariant`, { timeout: 120_000 }, async () => {
      const { violations, history } = await runSchedule(seed);
      expect(
        violations,
        `npx tsx scripts/simulate.ts --runs 1 --seed ${seed}\n${history.join('\n')}`,
      ).toEqual([]);
    });
  }

  it('the same seed gives the same events in the same order', { timeout: 120_000 }, async () => {
    const [first, second] = [await runSchedule(77), await runSchedule(77)];
    expect(second.history).toEqual(first.history);
  });
});
