import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Store } from '../../../src/store/api/store-api.ts';
import { Cluster, type CrashPlan } from './cluster.ts';
import { brokenPromises, CALM_MS, plans, runPlan, STORM_MS } from './crash-plans.ts';

/** More with LATCHKEY_EPOCH_SEEDS, for a long run. */
const seeds = Array.from({ length: Number(process.env['LATCHKEY_EPOCH_SEEDS'] ?? 2) }, (_, at) => at + 1);

// The store sweeps a second after an erasure, and breathes every few milliseconds: on a busy machine that would be at
// another place of the run.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterAll(() => {
  vi.useRealTimers();
});

describe('E14 crash plans: four nodes deal, acknowledge, crash and go on', () => {
  for (const [name, plan] of Object.entries(plans)) {
    let panics = 0;
    it.each(seeds)(`${name}, seed %i`, { timeout: 120_000 }, async (seed) => {
      const result = await runPlan(seed, plan);
      expect(brokenPromises(result)).toEqual([]);
      expect(result.crashes).toBeGreaterThan(0);
      panics += result.panics;
    });

    // Of one seed alone it may be that every fault hits what is only tidied up.
    if (plan.faultRate !== undefined)
      it(`${name}: some nodes gave up`, () => expect(panics).toBeGreaterThan(0));
  }

  it('without any crash every epoch succeeds and every node has a share', { timeout: 120_000 }, async () => {
    const result = await new Cluster(1, { everyMs: 1, victims: 0, downMs: 0 }).run(0, 9_000);
    expect(brokenPromises(result)).toEqual([]);
    expect(result.rounds).toBe(result.epochs - 1);
    expect(result.shares).toHaveLength(4);
  });
});

describe('E14 the auditor catches a node that breaks the rule (positive controls)', () => {
  const plan: CrashPlan = { everyMs: 1500, victims: 2, downMs: 300, cutRate: 0.05 };

  it('a store that acknowledges before the disk does', { timeout: 120_000 }, async () => {
    const result = await new Cluster(1, plan, hastyStore).run(STORM_MS, CALM_MS);
    expect(result.violations.some((line) => line.includes('lost a dealing'))).toBe(true);
  });

  it('a store that forgets the seed of the dealer', { timeout: 120_000 }, async () => {
    const result = await new Cluster(1, plan, reseedingStore).run(STORM_MS, CALM_MS);
    expect(result.violations.some((line) => line.includes('said two things'))).toBe(true);
  });
});

/** The store with some methods replaced. */
const instead = (store: Store, methods: Partial<Store>): Store => ({
  namespace: (name, options) => store.namespace(name, options),
  namespaces: () => store.namespaces(),
  hasNamespace: (name) => store.hasNamespace(name),
  eraseNamespace: (name) => store.eraseNamespace(name),
  batch: (operations) => store.batch(operations),
  snapshot: () => store.snapshot(),
  head: () => store.head(),
  health: () => store.health(),
  backup: (sink, part) => store.backup(sink, part),
  ...methods,
});

function hastyStore(store: Store): Store {
  return instead(store, {
    batch: async (operations) => {
      store.batch(operations).catch(() => undefined);
    },
  });
}

function reseedingStore(store: Store): Store {
  let lives = 0;
  return instead(store, {
    namespace: async (name, options) => {
      const namespace = await store.namespace(name, options);
      lives += 1;
      const salt = (store.head().sequence + lives) % 256;
      const get = async (record: string) => {
        const value = await namespace.get(record);
        return record === 'seed' && value !== undefined ? value.fill(salt, 0, 8) : value;
      };
      return Object.assign(Object.create(namespace), {
        get,
        put: namespace.put.bind(namespace),
        has: namespace.has.bind(namespace),
        names: namespace.names.bind(namespace),
        entries: namespace.entries.bind(namespace),
        delete: namespace.delete.bind(namespace),
        putIfAbsent: namespace.putIfAbsent.bind(namespace),
      });
    },
  });
}

describe('E13 deterministic: same seed, same state hash', () => {
  it('two runs of one seed end in one state, another seed does not', { timeout: 120_000 }, async () => {
    const plan = plans['storage faults, lossy links and many crashes'];
    if (plan === undefined) throw new Error('no plan');
    const run = (seed: number) => new Cluster(seed, plan).run(5_000, 2_500);
    const [first, second, other] = [await run(11), await run(11), await run(12)];
    expect(second).toEqual(first);
    expect(other.digest).not.toBe(first.digest);
  });
});
