import { expect, it } from 'vitest';
import { MainLoop } from '../../../src/observe/main-loop.ts';

const HOUR_MS = 3_600_000;

it('a turn that never ends is overdue; one that ends, and the time between two, is not', async () => {
  let nowMs = 0;
  const loop = new MainLoop(() => nowMs);
  nowMs = 24 * HOUR_MS;
  expect(loop.overdueMs).toBe(0);
  await loop.turn(async () => undefined);
  nowMs += 24 * HOUR_MS;
  expect(loop.overdueMs).toBe(0);
  void loop.turn(() => new Promise(() => undefined));
  expect(loop.overdueMs).toBe(0);
  nowMs += HOUR_MS;
  expect(loop.overdueMs).toBe(HOUR_MS / 2);
});

it('a turn that fails is over', async () => {
  let nowMs = 0;
  const loop = new MainLoop(() => nowMs);
  await expect(loop.turn(() => Promise.reject(new Error('no disk')))).rejects.toThrow('no disk');
  nowMs = HOUR_MS;
  expect(loop.overdueMs).toBe(0);
});
