import { describe, expect, it } from 'vitest';
import { RingLife } from '../support/ring-life.ts';

const LONG = { timeout: 600_000 };
const SEEDS = Array.from({ length: 6 }, (_, index) => 9000 + index);

describe('random lives of a ring: I2, I4 (X8), I5, I9', () => {
  it.each(SEEDS)('seed %d', LONG, async (seed) => {
    const life = new RingLife(seed);
    await life.live(4 + (seed % 4), 2);
    expect(life.violations).toEqual([]);
    expect(life.done.get('written') ?? 0).toBeGreaterThan(0);
    expect(life.done.get('read') ?? 0).toBeGreaterThan(0);
  });
});
