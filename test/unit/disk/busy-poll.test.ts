import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { BusyPoll } from '../../../src/disk/busy-poll.ts';

let nowMs: number;
let poll: BusyPoll;

beforeEach(() => {
  nowMs = 1000;
  poll = new BusyPoll(() => nowMs, true);
});

/** Turns of the event loop, enough for every immediate that is due. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await nextTurn();
}

/** Writes that take so long with the loop awake, and so long with it asleep. @returns how many were waited for awake. */
async function write(count: number, awakeMs: number, asleepMs: number): Promise<number> {
  let awake = 0;
  for (let done = 0; done < count; done++) {
    const ended = poll.begin();
    if (poll.isTurning) awake += 1;
    nowMs += poll.isTurning ? awakeMs : asleepMs;
    ended();
    await turns();
  }
  return awake;
}

describe('polling for a fast disk', () => {
  it('keeps the loop turning until the write ended', async () => {
    await write(100, 0.08, 0.1);
    const ended = poll.begin();
    await turns();
    expect(poll.isTurning).toBe(true);
    ended();
    await turns();
    expect(poll.isTurning).toBe(false);
  });

  it('goes on while one of several is pending', async () => {
    await write(100, 0.08, 0.1);
    const [first, second] = [poll.begin(), poll.begin()];
    first();
    await turns();
    expect(poll.isTurning).toBe(true);
    second();
    await turns();
    expect(poll.isTurning).toBe(false);
  });

  it('gives a write up that hangs', async () => {
    await write(100, 0.08, 0.1);
    const ended = poll.begin();
    nowMs += 0.24;
    await turns();
    expect(poll.isTurning).toBe(true);
    nowMs += 0.02;
    await turns();
    expect(poll.isTurning).toBe(false);
    ended();
  });

  it('takes the way that is quicker, and looks at the other now and then', async () => {
    await write(1000, 0.08, 0.1);
    expect(await write(160, 0.08, 0.1)).toBe(150);
    await write(1000, 0.3, 0.1);
    expect(await write(160, 0.3, 0.1)).toBe(10);
    await write(1000, 0.08, 0.1);
    expect(await write(160, 0.08, 0.1)).toBe(150);
  });

  it('sleeps on a slow disk, and looks again when it is fast', async () => {
    await write(100, 2, 2);
    expect(await write(5, 0.08, 0.1)).toBe(0);
    await write(1000, 0.08, 0.1);
    expect(await write(160, 0.08, 0.1)).toBe(150);
  });

  it('takes one hiccup of the disk for what it is', async () => {
    await write(1000, 0.05, 0.1);
    await write(1, 10_000, 10_000);
    expect(await write(15, 0.05, 0.1)).toBeGreaterThanOrEqual(14);
  });

  it('leaves a single processor to those who work', async () => {
    poll = new BusyPoll(() => nowMs, false);
    expect(await write(100, 0.05, 0.1)).toBe(0);
  });
});
