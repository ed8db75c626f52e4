import { describe, expect, it } from 'vitest';
import { ReplayMemory } from '../../../../src/secrets/service/replay-memory.ts';
import { REQUEST_WINDOW_MS } from '../../../../src/secrets/signed-request.ts';
import { MemoryStore, type MemoryStoreHooks } from '../../../support/memory-store.ts';
import { NOW_MS } from '../../../support/secret-records.ts';

const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

async function memoryOf(store: MemoryStore, maxRemembered?: number) {
  const memory = await ReplayMemory.open(await store.namespace('seen'), maxRemembered);
  return async (byte: number, timestampMs: number, nowMs = timestampMs): Promise<string> =>
    memory.wasSeen(digest(byte), timestampMs, nowMs).then(
      (wasSeen) => (wasSeen ? 'seen' : 'new'),
      (error: unknown) => String(Reflect.get(Object(error), 'code') ?? error),
    );
}

describe('requests that a node has taken', () => {
  it('are remembered across a restart', async () => {
    const store = new MemoryStore();
    const take = await memoryOf(store);
    expect([await take(1, NOW_MS), await take(1, NOW_MS), await take(2, NOW_MS)]).toEqual([
      'new',
      'seen',
      'new',
    ]);
    const again = await memoryOf(store.reopened());
    expect([await again(1, NOW_MS), await again(3, NOW_MS)]).toEqual(['seen', 'new']);
  });

  it('are taken once of two at once', async () => {
    const take = await memoryOf(new MemoryStore());
    expect((await Promise.all([take(1, NOW_MS), take(1, NOW_MS)])).sort()).toEqual(['new', 'seen']);
  });

  it('are forgotten together with all that are as old, which are refused for ever', async () => {
    const store = new MemoryStore();
    const take = await memoryOf(store);
    await take(1, NOW_MS);
    const laterMs = NOW_MS + 2 * REQUEST_WINDOW_MS;
    expect(await take(2, laterMs)).toBe('new');
    // The clock goes back: of the forgotten time none is taken, neither the same one nor another.
    expect([await take(1, NOW_MS), await take(9, NOW_MS)]).toEqual([
      'SECRET_REQUEST_STALE',
      'SECRET_REQUEST_STALE',
    ]);
    expect(await take(3, NOW_MS + 1)).toBe('new');
    const again = await memoryOf(store.reopened());
    expect([await again(1, NOW_MS), await again(2, laterMs)]).toEqual(['SECRET_REQUEST_STALE', 'seen']);
  });

  it('that could still be taken are not forgotten', async () => {
    const take = await memoryOf(new MemoryStore());
    await take(1, NOW_MS);
    const laterMs = NOW_MS + 2 * REQUEST_WINDOW_MS - 1;
    await take(2, laterMs);
    expect(await take(1, NOW_MS)).toBe('seen');
  });

  it('come back by no crash while they are forgotten', async () => {
    // The process ends after each write in turn.
    for (let writes = 1; writes <= 3; writes++) {
      const hooks: { -readonly [Name in keyof MemoryStoreHooks]: MemoryStoreHooks[Name] } = {};
      const store = new MemoryStore(hooks);
      const take = await memoryOf(store);
      await take(1, NOW_MS);
      await take(2, NOW_MS);
      let left = writes;
      hooks.beforeWrite = () => {
        if (left-- <= 0) throw new Error('the process ended');
      };
      const laterMs = NOW_MS + 2 * REQUEST_WINDOW_MS;
      await take(3, laterMs);
      const again = await memoryOf(store.reopened());
      expect(['seen', 'SECRET_REQUEST_STALE']).toContain(await again(1, NOW_MS));
      expect(['seen', 'SECRET_REQUEST_STALE']).toContain(await again(2, NOW_MS));
    }
  });

  it('are bounded; when there is no room none is taken, so none is taken twice', async () => {
    const take = await memoryOf(new MemoryStore(), 2);
    expect([await take(1, NOW_MS), await take(2, NOW_MS), await take(3, NOW_MS)]).toEqual([
      'new',
      'new',
      'SECRET_RELAY_BUSY',
    ]);
    const laterMs = NOW_MS + 2 * REQUEST_WINDOW_MS;
    expect(await take(3, laterMs)).toBe('new');
  });

  it('are on the disk before they are acted on', async () => {
    const store = new MemoryStore({
      beforeWrite: ([first]) => {
        if (first !== undefined) throw new Error('the disk failed');
      },
    });
    const take = await memoryOf(store);
    expect(await take(1, NOW_MS)).toContain('the disk failed');
  });
});
