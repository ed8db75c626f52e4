import { describe, expect, it } from 'vitest';
import { AttemptPace } from '../../../src/boot/heal/attempt-pace.ts';

/** A pace with waits of one to three seconds, and a clock that the test moves. */
function paced() {
  const time = { nowMs: 1_000_000 };
  const clock = { nowMs: () => time.nowMs, sleep: async () => undefined };
  const random = (length: number) => new Uint8Array(length).fill(128);
  return { time, pace: new AttemptPace({ clock, random }, { retryMinMs: 1_000, retryMaxMs: 3_000 }) };
}

describe('the pace of attempts', () => {
  it('waits longer after each failure, and does not wait longer when the clock is set back', () => {
    const { time, pace } = paced();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 4; attempt++) {
      pace.backOff();
      const startMs = time.nowMs;
      while (!pace.isDue) time.nowMs++;
      waits.push(Math.round((time.nowMs - startMs) / 100));
    }
    expect(waits).toEqual([10, 20, 30, 30]);
    pace.backOff();
    expect(pace.isDue).toBe(false);
    time.nowMs -= 86_400_000;
    expect(pace.isDue).toBe(true);
  });

  it('is brought forward by a hint, and each time later by many of them', () => {
    const { time, pace } = paced();
    const hurried: boolean[] = [];
    /** An attempt fails; this much later a hint comes. */
    const hint = (afterMs: number) => {
      pace.backOff();
      time.nowMs += afterMs;
      pace.hurry();
      hurried.push(pace.isDue);
    };
    // After the first hint, the next one counts after two seconds, and then one in three seconds.
    for (const afterMs of [1, 900, 1_099, 1, 2_999, 1]) hint(afterMs);
    expect(hurried).toEqual([true, false, false, true, false, true]);
    pace.relax();
    hint(999);
    hint(1);
    expect(hurried.slice(6)).toEqual([false, true]);
  });

  it('is not used up by a hint that comes when the attempt is due anyhow', () => {
    const { time, pace } = paced();
    pace.hurry();
    pace.backOff();
    time.nowMs += 1;
    pace.hurry();
    expect(pace.isDue).toBe(true);
  });
});
