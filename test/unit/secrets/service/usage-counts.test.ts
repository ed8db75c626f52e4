import { describe, expect, it } from 'vitest';
import { UsageCounts } from '../../../../src/secrets/service/usage-counts.ts';
import { MemoryStore } from '../../../support/memory-store.ts';

const HOUR_MS = 3_600_000;

describe('counts of uses', () => {
  it('are there after a restart, and count for periods of their length only', async () => {
    const store = new MemoryStore();
    const counts = new UsageCounts(await store.namespace('counts'), () => true);
    await counts.put('aa', 1_000, { period: 5, used: 2 }, 5_000);
    const again = new UsageCounts(await store.reopened().namespace('counts'), () => true);
    expect(await again.get('aa', 1_000)).toEqual({ period: 5, used: 2 });
    expect(await again.get('aa', 2_000)).toBeUndefined();
    expect(await again.get('bb', 1_000)).toBeUndefined();
  });

  it('stay while their secret is here or their period lasts, and go afterwards', async () => {
    const namespace = await new MemoryStore().namespace('counts');
    const here = new Set(['aa']);
    const counts = new UsageCounts(namespace, (id) => here.has(id));
    for (const id of ['aa', 'bb', 'cc'])
      await counts.put(id, id === 'cc' ? 10 * HOUR_MS : 1_000, { period: 0, used: 1 }, 0);
    await counts.put('dd', 1_000, { period: HOUR_MS / 1_000, used: 1 }, HOUR_MS);
    expect([...namespace.names()].sort()).toEqual(['aa', 'cc', 'dd']);
    // Not at each use: all counts are read for it.
    await counts.put('bb', 1_000, { period: 0, used: 1 }, HOUR_MS + 1);
    await counts.put('dd', 1_000, { period: 0, used: 1 }, 2 * HOUR_MS - 1);
    expect([...namespace.names()]).toContain('bb');
  });
});
