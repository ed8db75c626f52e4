import { describe, expect, it } from 'vitest';
import { randomRun } from './random-run.ts';

/** Another part of the seeds every day; a failure names its seed, which `randomRun` repeats. */
const FIRST_SEED = Math.floor(Date.now() / 86_400_000) * 1000;
const RUNS = 120;

describe('recover, mutate, recover', () => {
  it(`${RUNS} random lives of a store lose no acknowledged write (seeds from ${FIRST_SEED})`, async () => {
    let acknowledged = 0;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++)
      acknowledged += await randomRun({ seed, lives: 6, actions: 25 });
    expect(acknowledged).toBeGreaterThan(RUNS * 10);
  }, 120_000);
});
