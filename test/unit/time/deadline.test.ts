import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../src/time/clock.ts';
import { withDeadline } from '../../../src/time/deadline.ts';
import { VirtualClock } from '../../support/simulated-network-clock.ts';

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    const end = () => reject(new Error('aborted'));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });

/** A clock without `schedule`. */
const sleepingClock = (clock: VirtualClock): Clock => ({
  nowMs: () => clock.nowMs(),
  sleep: (milliseconds, signal) => clock.sleep(milliseconds, signal),
});

describe.each([
  ['that schedules', (clock: VirtualClock): Clock => clock],
  ['that only sleeps', sleepingClock],
])('an operation with a deadline, by a clock %s', (_name, clockOf) => {
  it('gives its result, and no timer is left', async () => {
    const virtual = new VirtualClock(0);
    expect(await withDeadline(clockOf(virtual), 1_000, async () => 7)).toBe(7);
    await expect(virtual.until(new Promise(() => undefined), 5_000)).rejects.toThrow('nothing happened');
  });

  it('gives nothing when the deadline passes first, and its signal is aborted', async () => {
    const virtual = new VirtualClock(0);
    let aborted: AbortSignal | undefined;
    const late = withDeadline(clockOf(virtual), 1_000, (signal) => {
      aborted = signal;
      return untilAborted(signal);
    });
    expect(await virtual.until(late)).toBeUndefined();
    expect(aborted?.aborted).toBe(true);
    expect(virtual.nowMs()).toBe(1_000);
  });

  it('fails as the operation does, and at once when the outer signal aborts', async () => {
    const virtual = new VirtualClock(0);
    const outer = new AbortController();
    const running = withDeadline(clockOf(virtual), 1_000, untilAborted, outer.signal);
    outer.abort();
    await expect(running).rejects.toThrow('aborted');
    await expect(withDeadline(clockOf(virtual), 1_000, untilAborted, AbortSignal.abort())).rejects.toThrow(
      'aborted',
    );
    expect(virtual.nowMs()).toBe(0);
  });
});

it('the clock of the system keeps no timer of an operation that is over', async () => {
  expect(await withDeadline(systemClock, 3_600_000, async () => 'done')).toBe('done');
});
