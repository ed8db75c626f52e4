import { describe, expect, it } from 'vitest';
import { AttemptPace } from '../../../src/boot/heal/attempt-pace.ts';
import { FlooredClock } from '../../../src/time/clock.ts';

const DAY_MS = 86_400_000;

/** A machine whose clock a host sets; the monotonic one runs on. */
function machine() {
  const host = { wallMs: 1_000 * DAY_MS, passedMs: 5_000 };
  const clock = new FlooredClock({
    nowMs: () => host.wallMs,
    monotonicMs: () => host.passedMs,
    sleep: async () => undefined,
  });
  const pass = (milliseconds: number): void => {
    host.wallMs += milliseconds;
    host.passedMs += milliseconds;
  };
  return { host, clock, pass };
}

describe('a clock with a floor', () => {
  it('runs on from what was proved, while the own clock is behind', () => {
    const { host, clock, pass } = machine();
    const provedMs = host.wallMs + 300 * DAY_MS;
    clock.raise(provedMs);
    expect(clock.nowMs()).toBe(provedMs);
    pass(60_000);
    expect(clock.nowMs()).toBe(provedMs + 60_000);
    // A block is a little older than the time at which it is seen.
    clock.raise(provedMs + 54_000);
    expect(clock.nowMs()).toBe(provedMs + 60_000);
    expect(clock.floorMs).toBe(provedMs + 54_000);
    host.wallMs = provedMs + DAY_MS;
    expect(clock.nowMs()).toBe(provedMs + DAY_MS);
  });

  it('ends waits also on a machine with a clock that is a year behind', () => {
    const { host, clock, pass } = machine();
    clock.raise(host.wallMs + 365 * DAY_MS);
    const pace = new AttemptPace(
      { clock, random: (length) => new Uint8Array(length) },
      {
        retryMinMs: 1_000,
        retryMaxMs: 60_000,
      },
    );
    pace.backOff();
    expect(pace.isDue).toBe(false);
    pass(60_000);
    expect(pace.isDue).toBe(true);
  });

  it('is the own clock before anything is proved, and stands still where nothing measures', () => {
    const { host, clock } = machine();
    expect(clock.nowMs()).toBe(host.wallMs);
    const still = new FlooredClock({ nowMs: () => 7, sleep: async () => undefined });
    still.raise(9);
    still.raise(8);
    expect(still.nowMs()).toBe(9);
  });
});
