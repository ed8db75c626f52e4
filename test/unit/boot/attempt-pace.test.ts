import { describe, expect, it } from 'vitest';
import { AttemptPace } from '../../../src/boot/heal/attempt-pace.ts';

describe('the pace of attempts', () => {
  it('waits longer after each failure, and does not wait longer when the clock is set back', () => {
    let nowMs = 1_000_000;
    const clock = { nowMs: () => nowMs, sleep: async () => undefined };
    const pace = new AttemptPace(
      { clock, random: (length) => new Uint8Array(length).fill(128) },
      { retryMinMs: 1_000, retryMaxMs: 3_000 },
    );
    const waits: number[] = [];
    for (let attempt = 0; attempt < 4; attempt++) {
      pace.backOff();
      const startMs = nowMs;
      while (!pace.isDue) nowMs++;
      waits.push(Math.round((nowMs - startMs) / 100));
    }
    expect(waits).toEqual([10, 20, 30, 30]);
    pace.backOff();
    expect(pace.isDue).toBe(false);
    nowMs -= 86_400_000;
    expect(pace.isDue).toBe(true);
  });
});
