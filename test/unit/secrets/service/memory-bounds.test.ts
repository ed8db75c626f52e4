import { describe, expect, it } from 'vitest';
import { ReplayMemory } from '../../../../src/secrets/service/replay-memory.ts';
import { UsageCounts } from '../../../../src/secrets/service/usage-counts.ts';
import { REQUEST_WINDOW_MS } from '../../../../src/secrets/signed-request.ts';
import { MemoryStore } from '../../../support/memory-store.ts';
import { NOW_MS } from '../../../support/secret-records.ts';

const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const HOUR_MS = 3_600_000;

async function memoryOf(store: MemoryStore) {
  const memory = await ReplayMemory.open(await store.namespace('seen'));
  return async (byte: number, timestampMs: number, nowMs = timestampMs): Promise<string> =>
    memory.wasSeen(digest(byte), timestampMs, nowMs).then(
      (wasSeen) => (wasSeen ? 'seen' : 'new'),
      (error: unknown) => String(Reflect.get(Object(error), 'code') ?? error),
    );
}

describe('the time of the newest request that was forgotten', () => {
  it('is not forgotten with the requests, however often there is a turn, also after a restart', async () => {
    const store = new MemoryStore();
    const take = await memoryOf(store);
    await take(1, NOW_MS);
    const timeOf = (turn: number) => NOW_MS + 3 * turn * REQUEST_WINDOW_MS;
    // Each turn forgets the request before; the time of an older one is among what is old, too.
    for (let turn = 1; turn <= 4; turn++) {
      expect(await take(1 + turn, timeOf(turn))).toBe('new');
      const again = await memoryOf(store.reopened());
      for (let before = 0; before < turn; before++)
        expect(await again(1 + before, timeOf(before))).toBe('SECRET_REQUEST_STALE');
    }
  });

  it('is looked for when a window is over, to the millisecond', async () => {
    const take = await memoryOf(new MemoryStore());
    await take(1, NOW_MS - REQUEST_WINDOW_MS, NOW_MS);
    await take(2, NOW_MS + REQUEST_WINDOW_MS - 1);
    expect(await take(1, NOW_MS - REQUEST_WINDOW_MS, NOW_MS)).toBe('seen');
    await take(3, NOW_MS + REQUEST_WINDOW_MS);
    expect(await take(1, NOW_MS - REQUEST_WINDOW_MS, NOW_MS)).toBe('SECRET_REQUEST_STALE');
  });
});

describe('a count of uses', () => {
  it('goes in the millisecond in which its period and an hour are over', async () => {
    const namespace = await new MemoryStore().namespace('counts');
    const counts = new UsageCounts(namespace, () => false);
    const last = { period: 3599, used: 1 };
    await counts.put('aa', 1000, last, 1);
    await counts.put('bb', 1000, { period: 3600, used: 1 }, HOUR_MS);
    expect([...namespace.names()]).toEqual(['aa', 'bb']);
    await counts.put('cc', 1000, { period: 9999, used: 1 }, HOUR_MS + 1);
    expect([...namespace.names()]).toEqual(['bb', 'cc']);
  });

  it('goes when its period ends, and not before', async () => {
    for (const [period, left] of [
      [3599, ['bb']],
      [3600, ['aa', 'bb']],
    ] as const) {
      const namespace = await new MemoryStore().namespace('counts');
      const counts = new UsageCounts(namespace, (id) => id === 'bb');
      await counts.put('aa', 1000, { period, used: 1 }, 0);
      await counts.put('bb', 1000, { period: 0, used: 1 }, HOUR_MS);
      expect([...namespace.names()]).toEqual(left);
    }
  });
});
