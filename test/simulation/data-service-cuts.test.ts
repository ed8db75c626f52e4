import { describe, expect, it } from 'vitest';
import { DecryptionService } from '../../src/decryptions/decryption-service.ts';
import { Datastore } from '../../src/rituals/datastore.ts';
import { recordType } from '../../src/rituals/record-type.ts';
import type { Store } from '../../src/store/api/store-api.ts';
import { cutAtEveryStep, type ServiceOperation } from './service-cuts.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const KEY = 'ee'.repeat(32);
const OTHER = 'dd'.repeat(32);
const Policy = recordType('Policy', { amount: 'integer', owner: 'string' });

/** The whole state of the rituals: every way of looking agrees on it. */
async function rituals(store: Store): Promise<readonly (readonly [id: number, fragment: number])[]> {
  const datastore = await Datastore.initialize(store);
  const found = await Promise.all(
    (await datastore.list()).map(
      async ({ id }) => [id, (await datastore.retrieveFragment(id)).fragment[0] ?? -1] as const,
    ),
  );
  expect(found).toHaveLength(datastore.count);
  // No box without a key, which a revoked one might have been in.
  for (const name of store.namespaces().filter((space) => space.startsWith('rituals/keys/')))
    expect((await store.namespace(name, { erasable: true })).size).toBeGreaterThan(0);
  return found;
}

/** Expects the state after, or, unless the operation was acknowledged, the state before. */
function expectOneOf(found: unknown, after: unknown, before: unknown, acknowledged: boolean): void {
  expect(acknowledged ? [after] : [before, after]).toContainEqual(found);
}

const nothing = async (): Promise<void> => undefined;
const fill = async (store: Store): Promise<void> => {
  const datastore = await Datastore.initialize(store);
  await datastore.storeFragment(1, 10, bytes(1));
  await datastore.storeFragment(2, 20, bytes(2));
};

const ritualOperations: readonly ServiceOperation[] = [
  {
    name: 'R1 initialize',
    prepare: nothing,
    act: async (store) => void (await Datastore.initialize(store)),
    check: async (store) => expect(await rituals(store)).toEqual([]),
  },
  {
    name: 'R2 store a fragment',
    prepare: fill,
    act: async (store) => void (await (await Datastore.initialize(store)).storeFragment(3, 15, bytes(3))),
    check: async (store, acknowledged) => {
      const before = [
        [1, 1],
        [2, 2],
      ];
      expectOneOf(
        await rituals(store),
        [
          [1, 1],
          [3, 3],
          [2, 2],
        ],
        before,
        acknowledged,
      );
    },
  },
  {
    name: 'R4 store two fragments at once',
    prepare: fill,
    act: async (store) => {
      const datastore = await Datastore.initialize(store);
      await Promise.all([datastore.storeFragment(3, 30, bytes(3)), datastore.storeFragment(4, 40, bytes(4))]);
    },
    check: async (store, acknowledged) => {
      const ids = (await rituals(store)).map(([id]) => id);
      expect(ids.slice(0, 2)).toEqual([1, 2]);
      if (acknowledged) expect(ids).toEqual([1, 2, 3, 4]);
    },
  },
  {
    name: 'R12 revoke a fragment',
    prepare: fill,
    act: async (store) => (await Datastore.initialize(store)).deleteFragment(1),
    check: async (store, acknowledged) =>
      expectOneOf(
        await rituals(store),
        [[2, 2]],
        [
          [1, 1],
          [2, 2],
        ],
        acknowledged,
      ),
  },
  {
    name: 'R12 revoke a fragment and store another for the same id',
    prepare: fill,
    act: async (store) => {
      const datastore = await Datastore.initialize(store);
      await datastore.deleteFragment(1);
      await datastore.storeFragment(1, 5, bytes(9));
    },
    check: async (store, acknowledged) => {
      const found = await rituals(store);
      const between = [
        [
          [1, 1],
          [2, 2],
        ],
        [[2, 2]],
        [
          [1, 9],
          [2, 2],
        ],
      ];
      expect(acknowledged ? between.slice(2) : between).toContainEqual(found);
    },
  },
  {
    name: 'R6 a transaction over several records',
    prepare: async (store) => {
      const datastore = await Datastore.initialize(store);
      await datastore.transaction((t) => {
        t.record(Policy, 1).set('amount', 100);
        t.record(Policy, 2).set('amount', 0);
      });
    },
    act: async (store) => {
      const datastore = await Datastore.initialize(store);
      await datastore.transaction((t) => {
        t.record(Policy, 1).set('amount', 60);
        t.record(Policy, 2).set('amount', 40);
        t.record(Policy, 1).set('owner', 'me');
      });
    },
    check: async (store, acknowledged) => {
      const found = await (await Datastore.initialize(store)).queryBy(Policy);
      expectOneOf(
        found.map(({ values }) => values),
        [{ amount: 60, owner: 'me' }, { amount: 40 }],
        [{ amount: 100 }, { amount: 0 }],
        acknowledged,
      );
    },
  },
  {
    name: 'R9 clear(id)',
    prepare: async (store) => {
      const datastore = await Datastore.initialize(store);
      await datastore.storePhaseTransaction({ ritualId: 1, phase: 1 }, bytes(1));
      await datastore.storePhaseTransaction({ ritualId: 1, phase: 2 }, bytes(2));
      await datastore.storeValidators(1, [{ address: 'a', publicKey: bytes() }]);
    },
    act: async (store) => (await Datastore.initialize(store)).clear(1),
    check: async (store, acknowledged) => {
      const datastore = await Datastore.initialize(store);
      const there = [
        (await datastore.phaseTransaction({ ritualId: 1, phase: 1 })) !== undefined,
        (await datastore.phaseTransaction({ ritualId: 1, phase: 2 })) !== undefined,
        (await datastore.validators(1)) !== undefined,
      ];
      expectOneOf(there, [false, false, false], [true, true, true], acknowledged);
    },
  },
  {
    name: 'R9 compare and delete a phase transaction',
    prepare: async (store) =>
      (await Datastore.initialize(store)).storePhaseTransaction({ ritualId: 1, phase: 1 }, bytes(1)),
    act: async (store) =>
      void (await (
        await Datastore.initialize(store)
      ).clearPhaseTransaction({ ritualId: 1, phase: 1 }, bytes(1))),
    check: async (store, acknowledged) => {
      const found = await (await Datastore.initialize(store)).phaseTransaction({ ritualId: 1, phase: 1 });
      expectOneOf(found, undefined, bytes(1), acknowledged);
    },
  },
];

const value = (number: bigint) => ({ value: number, signature: bytes(7) });
const open = (store: Store) => DecryptionService.open(store, { maxExpectedOracleDelayMs: 0 });
/** Value by key, number of results, and signatures; the index by time must agree, so everything prunes. */
async function decryptions(store: Store): Promise<unknown> {
  const service = await open(store);
  const seen = [
    (await service.get(KEY))?.value,
    (await service.get(OTHER))?.value,
    (await service.signatures(KEY)).map(({ oracle, value: signed }) => `${oracle} ${signed}`),
  ];
  const size = await service.size();
  expect(await service.prune({ maxCount: 0 })).toBe(size);
  expect(await service.size()).toBe(0);
  expect(await service.signatures(KEY)).toEqual([]);
  return seen;
}

const decryptionOperations: readonly ServiceOperation[] = [
  {
    name: 'D1 put',
    prepare: nothing,
    act: async (store) => void (await (await open(store)).put(KEY, value(1n))),
    check: async (store, acknowledged) =>
      expectOneOf(await decryptions(store), [1n, undefined, []], [undefined, undefined, []], acknowledged),
  },
  {
    name: 'D2 overwrite',
    prepare: async (store) => void (await (await open(store)).put(KEY, value(1n))),
    act: async (store) => void (await (await open(store)).put(KEY, value(2n))),
    check: async (store, acknowledged) =>
      expectOneOf(await decryptions(store), [2n, undefined, []], [1n, undefined, []], acknowledged),
  },
  {
    name: 'D13 what a waiter heard is durable',
    prepare: nothing,
    act: async (store) => {
      const service = await DecryptionService.open(store);
      // Resolves with the waiter, not with the put: what was heard must have survived.
      const waiting = service.get(KEY);
      const put = service.put(KEY, value(1n));
      await Promise.race([waiting, put.then(() => waiting)]);
    },
    check: async (store, acknowledged) =>
      expectOneOf(await decryptions(store), [1n, undefined, []], [undefined, undefined, []], acknowledged),
  },
  {
    name: 'D21 first signature of an oracle, with the result',
    prepare: async (store) => void (await (await open(store)).put(OTHER, value(5n))),
    act: async (store) => void (await (await open(store)).putSignature(KEY, 'a', value(1n))),
    check: async (store, acknowledged) =>
      expectOneOf(await decryptions(store), [1n, 5n, ['a 1']], [undefined, 5n, []], acknowledged),
  },
  {
    name: 'D21 delete with signatures',
    prepare: async (store) => {
      const service = await open(store);
      await service.putSignature(KEY, 'a', value(1n));
      await service.putSignature(KEY, 'b', value(2n));
    },
    act: async (store) => void (await (await open(store)).delete(KEY)),
    check: async (store, acknowledged) =>
      expectOneOf(
        await decryptions(store),
        [undefined, undefined, []],
        [1n, undefined, ['a 1', 'b 2']],
        acknowledged,
      ),
  },
  {
    name: 'D21 prune',
    prepare: async (store) => {
      const service = await open(store);
      await service.put(KEY, value(1n));
      await service.put(OTHER, value(2n));
    },
    act: async (store) => void (await (await open(store)).prune({ maxCount: 0 })),
    check: async (store, acknowledged) => {
      const found = await decryptions(store);
      if (acknowledged) expect(found).toEqual([undefined, undefined, []]);
    },
  },
];

describe('data services on the simulated disk, the power cut at every step', () => {
  it.each(ritualOperations)('$name', async (operation) => {
    expect(await cutAtEveryStep(operation)).toBeGreaterThan(9);
  });

  it.each(decryptionOperations)('$name', async (operation) => {
    expect(await cutAtEveryStep(operation)).toBeGreaterThan(9);
  });
});
