import { beforeEach, describe, expect, it } from 'vitest';
import { Datastore } from '../../../src/rituals/datastore.ts';
import { allGuards, allowed, expiryGuard, type Guard, refused } from '../../../src/rituals/guard.ts';
import type { ActiveRitual, PhaseId } from '../../../src/rituals/ritual-cache.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const first: PhaseId = { ritualId: 1, phase: 1 };
const second: PhaseId = { ritualId: 1, phase: 2 };
const active: ActiveRitual = {
  id: 1,
  dkgSize: 4,
  threshold: 3,
  totalAggregations: 4,
  aggregatedTranscript: bytes(1, 2, 3),
  publicKey: bytes(4),
  initTimestamp: 10,
  endTimestamp: 20,
};

describe('the cache of ritual state', () => {
  let store: MemoryStore;
  let datastore: Datastore;
  beforeEach(async () => {
    store = new MemoryStore();
    datastore = await Datastore.initialize(store);
  });

  it('R9 phase transactions are compared and deleted', async () => {
    expect(await datastore.phaseTransaction(first)).toBeUndefined();
    expect(await datastore.clearPhaseTransaction(first, bytes(1))).toBe(false);
    await datastore.storePhaseTransaction(first, bytes(1));
    await datastore.storePhaseTransaction(second, bytes(2));
    expect(await datastore.clearPhaseTransaction(first, bytes(2))).toBe(false);
    expect(await datastore.phaseTransaction(first)).toEqual(bytes(1));
    await datastore.storePhaseTransaction(first, bytes(3));
    expect(await datastore.clearPhaseTransaction(first, bytes(1))).toBe(false);
    expect(await datastore.clearPhaseTransaction(first, bytes(3))).toBe(true);
    expect(await datastore.clearPhaseTransaction(first, bytes(3))).toBe(false);
    expect(await datastore.phaseTransaction(second)).toEqual(bytes(2));
  });

  it('R9 one of many concurrent calls that clear one transaction succeeds', async () => {
    await datastore.storePhaseTransaction(first, bytes(1));
    const cleared = await Promise.all(
      Array.from({ length: 20 }, () => datastore.clearPhaseTransaction(first, bytes(1))),
    );
    expect(cleared.filter(Boolean)).toHaveLength(1);
  });

  it('R9 validators keep their order and are copies; an empty list is the same as no list', async () => {
    const validators = [
      { address: '0xb', publicKey: bytes(2) },
      { address: '0xa', publicKey: bytes() },
    ];
    await datastore.storeValidators(1, validators);
    validators.pop();
    const found = await datastore.validators(1);
    expect(found).toEqual([
      { address: '0xb', publicKey: bytes(2) },
      { address: '0xa', publicKey: bytes() },
    ]);
    found?.[0]?.publicKey.fill(0);
    expect((await datastore.validators(1))?.[0]?.publicKey).toEqual(bytes(2));
    await datastore.storeValidators(1, []);
    expect(await datastore.validators(1)).toBeUndefined();
  });

  it('R9 only active rituals are kept as active', async () => {
    for (const totalAggregations of [0, 3, 5]) {
      await expect(datastore.storeActiveRitual({ ...active, totalAggregations })).rejects.toMatchObject({
        code: 'RITUAL_NOT_ACTIVE',
        expected: '4',
        observed: String(totalAggregations),
      });
    }
    expect(await datastore.activeRitual(1)).toBeUndefined();
    await datastore.storeActiveRitual(active);
    expect(await datastore.activeRitual(1)).toEqual(active);
  });

  it('R9 clear(id) removes all cached state of the id and nothing else', async () => {
    const writes = store.writes;
    await datastore.clear(1);
    expect(store.writes).toBe(writes);
    for (const id of [1, 11]) {
      await datastore.storePhaseTransaction({ ritualId: id, phase: 1 }, bytes(1));
      await datastore.storePhaseTransaction({ ritualId: id, phase: 2 }, bytes(1));
      await datastore.storeValidators(id, [{ address: 'a', publicKey: bytes() }]);
      await datastore.storeActiveRitual({ ...active, id });
      await datastore.storeFragment(id, 1, bytes(id));
    }
    await datastore.clear(1);
    expect(await datastore.phaseTransaction(first)).toBeUndefined();
    expect(await datastore.phaseTransaction(second)).toBeUndefined();
    expect(await datastore.validators(1)).toBeUndefined();
    expect(await datastore.activeRitual(1)).toBeUndefined();
    expect((await datastore.retrieveFragment(1)).fragment).toEqual(bytes(1));
    expect(await datastore.phaseTransaction({ ritualId: 11, phase: 1 })).toEqual(bytes(1));
    expect((await datastore.activeRitual(11))?.id).toBe(11);
  });

  it('R9 the cache and the scanner cursor survive a restart', async () => {
    await datastore.storeActiveRitual(active);
    await datastore.storeScannerCursor(123_456);
    const again = await Datastore.initialize(store);
    expect(await again.activeRitual(1)).toEqual(active);
    expect(await again.scannerCursor()).toBe(123_456);
  });
});

describe('R10 guards', () => {
  const operations: Readonly<Record<string, (datastore: Datastore) => Promise<unknown>>> = {
    store: (datastore) => datastore.storeFragment(2, 5, bytes(2)),
    retrieve: (datastore) => datastore.retrieveFragment(1),
    decrypt: (datastore) => datastore.decryptionInputs(1, 'a', 6),
    delete: (datastore) => datastore.deleteFragment(1),
    list: (datastore) => datastore.list(),
    'list expired': (datastore) => datastore.findExpired(9),
    'cache: store transaction': (datastore) => datastore.storePhaseTransaction(first, bytes(9)),
    'cache: read transaction': (datastore) => datastore.phaseTransaction(first),
    'cache: clear transaction': (datastore) => datastore.clearPhaseTransaction(first, bytes(1)),
    'cache: store validators': (datastore) => datastore.storeValidators(1, []),
    'cache: read validators': (datastore) => datastore.validators(1),
    'cache: store active': (datastore) => datastore.storeActiveRitual(active),
    'cache: read active': (datastore) => datastore.activeRitual(1),
    'cache: clear': (datastore) => datastore.clear(1),
  };

  for (const [name, operation] of Object.entries(operations)) {
    it(`R10 the guard denies: ${name}`, async () => {
      const store = new MemoryStore();
      const open = await Datastore.initialize(store);
      await open.storeFragment(1, 5, bytes(1));
      await open.storePhaseTransaction(first, bytes(1));
      const writes = store.writes;
      const asked: unknown[] = [];
      const guard: Guard = (...question) => {
        asked.push(question);
        return refused('unauthorized', 'not you');
      };
      const guarded = await Datastore.initialize(store, { authorize: guard });
      await expect(operation(guarded)).rejects.toMatchObject({ code: 'RITUAL_UNAUTHORIZED', status: 403 });
      expect(asked).toHaveLength(1);
      expect(store.writes).toBe(writes);
    });
  }

  it('R10 the guard gets operation, id and time; a denied caller does not learn whether the ritual exists', async () => {
    const asked: unknown[] = [];
    let open = true;
    const datastore = await Datastore.initialize(new MemoryStore(), {
      authorize: (operation, ritual) => {
        asked.push([operation, ritual]);
        return open ? allowed : refused('unpaid', 'no coins');
      },
    });
    await datastore.storeFragment(1, 5, bytes(1));
    open = false;
    const errors = await Promise.all(
      [1, 2].map((id) => datastore.retrieveFragment(id).catch((error) => error.code)),
    );
    expect(errors).toEqual(['RITUAL_UNPAID', 'RITUAL_UNPAID']);
    expect(asked).toEqual([
      ['store', { id: 1, timestamp: 5 }],
      ['retrieve', { id: 1, timestamp: 5 }],
      ['retrieve', { id: 2, timestamp: undefined }],
    ]);
  });

  it('R13 a decryption needs `retrieve` and `cache`', async () => {
    for (const refusedOperation of ['retrieve', 'cache'] as const) {
      const store = new MemoryStore();
      const open = await Datastore.initialize(store);
      await open.storeFragment(1, 5, bytes(1));
      await open.storeActiveRitual(active);
      await open.storeValidators(1, [{ address: 'a', publicKey: bytes(1) }]);
      expect((await open.decryptionInputs(1, 'a', active.endTimestamp - 1)).position).toBe(0);
      const guarded = await Datastore.initialize(store, {
        authorize: (operation) => (operation === refusedOperation ? refused('unpaid', 'no coins') : allowed),
      });
      await expect(guarded.decryptionInputs(1, 'a', 0)).rejects.toMatchObject({ code: 'RITUAL_UNPAID' });
    }
  });

  it('R13 a decryption at no time, or for no address, is misuse', async () => {
    const datastore = await Datastore.initialize(new MemoryStore());
    await datastore.storeActiveRitual(active);
    await expect(datastore.decryptionInputs(1, 'a', Number.NaN)).rejects.toThrow(RangeError);
    // @ts-expect-error: what only a JavaScript caller can pass.
    await expect(datastore.decryptionInputs(1, undefined, 0)).rejects.toThrow(TypeError);
  });

  it('R10 guards can be combined, and the first refusal counts; expired rituals can still be deleted', async () => {
    let now = 100;
    const paid: Guard = (operation) => (operation === 'list' ? refused('unpaid', 'list costs') : allowed);
    const datastore = await Datastore.initialize(new MemoryStore(), {
      authorize: allGuards(
        expiryGuard(50, () => now),
        paid,
      ),
    });
    await datastore.storeFragment(1, 100, bytes(1));
    now = 149;
    expect((await datastore.retrieveFragment(1)).fragment).toEqual(bytes(1));
    now = 150;
    await expect(datastore.retrieveFragment(1)).rejects.toMatchObject({ code: 'RITUAL_EXPIRED' });
    await expect(datastore.list()).rejects.toMatchObject({ code: 'RITUAL_UNPAID', status: 402 });
    await datastore.deleteFragment(1);
  });

  it('R10 a guard that fails denies', async () => {
    const datastore = await Datastore.initialize(new MemoryStore(), {
      authorize: () => {
        throw new Error('chain down');
      },
    });
    await expect(datastore.storeFragment(1, 1, bytes(1))).rejects.toThrow('chain down');
    expect(datastore.count).toBe(0);
  });
});
