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

/** A write that takes this long. @returns whether the loop was kept turning for it. */
async function write(durationMs: number): Promise<boolean> {
  const ended = poll.begin();
  const turned = poll.isTurning;
  nowMs += durationMs;
  ended();
  await turns();
  return turned;
}

describe('polling for a fast disk', () => {
  it('keeps the loop turning until the write ended', async () => {
    const ended = poll.begin();
    await turns();
    expect(poll.isTurning).toBe(true);
    ended();
    await turns();
    expect(poll.isTurning).toBe(false);
  });

  it('goes on while one of several is pending', async () => {
    const [first, second] = [poll.begin(), poll.begin()];
    first();
    await turns();
    expect(poll.isTurning).toBe(true);
    second();
    await turns();
    expect(poll.isTurning).toBe(false);
  });

  it('gives a write up that hangs', async () => {
    const ended = poll.begin();
    nowMs += 0.39;
    await turns();
    expect(poll.isTurning).toBe(true);
    nowMs += 0.02;
    await turns();
    expect(poll.isTurning).toBe(false);
    ended();
  });

  it('sleeps on a slow disk, and wakes again when it is fast', async () => {
    for (let count = 0; count < 20; count++) await write(2);
    expect(await write(0.05)).toBe(false);
    for (let count = 0; count < 20; count++) await write(0.05);
    expect(await write(0.05)).toBe(true);
  });

  it('takes one hiccup of the disk for what it is', async () => {
    for (let count = 0; count < 20; count++) await write(0.05);
    await write(10_000);
    expect(await write(0.05)).toBe(true);
  });

  it('leaves a single processor to those who work', async () => {
    poll = new BusyPoll(() => nowMs, false);
    expect(await write(0.05)).toBe(false);
  });
});
