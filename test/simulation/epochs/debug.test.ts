import { expect, it } from 'vitest';
import { MemoryStore } from '../../support/memory-store.ts';
import { Cluster } from './cluster.ts';
it('debug', async () => {
  const stores = new Map<unknown, MemoryStore>();
  const open = async (_: unknown, dice: unknown) => {
    const s = stores.get(dice) ?? new MemoryStore();
    stores.set(dice, s);
    return s;
  };
  for (const plan of [{everyMs: 4000, victims: 1, downMs: 1000}, {everyMs: 2000, victims: 3, downMs: 500},{everyMs: 2700, victims: 4, downMs: 500, links: {lossRate: 0.2}}]) {
    const t = performance.now();
    stores.clear();
    const r = await new Cluster(1, plan, open).run(12000, 5000);
    console.log({ ...r, shares: r.shares.length, digest: r.digest.slice(0, 20) }, performance.now() - t);
    expect(r.violations).toEqual([]);
  }
}, 60000);
