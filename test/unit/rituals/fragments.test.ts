import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Datastore } from '../../../src/rituals/datastore.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const boxesOf = (store: MemoryStore): string[] =>
  store.namespaces().filter((name) => name.startsWith('rituals/keys/'));

describe('ritual fragments', () => {
  let store: MemoryStore;
  let datastore: Datastore;
  beforeEach(async () => {
    store = new MemoryStore();
    datastore = await Datastore.initialize(store);
  });

  it('R1 initialize, open again, and find the records', async () => {
    expect(datastore.count).toBe(0);
    await datastore.storeFragment(1, 2, bytes(3));
    const again = await Datastore.initialize(store);
    expect(again.count).toBe(1);
    expect(await again.retrieveFragment(1)).toEqual({ id: 1, timestamp: 2, fragment: bytes(3) });
  });

  it('R2 store, retrieve, delete: the example of the proposal', async () => {
    const fragment = new TextEncoder().encode('0101010101');
    expect(await datastore.storeFragment(42, 13_234_134, fragment)).toBe(true);
    expect(await datastore.retrieveFragment(42)).toEqual({ id: 42, timestamp: 13_234_134, fragment });
    await datastore.deleteFragment(42);
    await expect(datastore.retrieveFragment(42)).rejects.toMatchObject({
      code: 'RITUAL_NOT_FOUND',
      status: 404,
    });
    expect(datastore.count).toBe(0);
    expect(await datastore.list()).toEqual([]);
  });

  it('R3 the same bytes again write nothing, and the first timestamp stays', async () => {
    await datastore.storeFragment(1, 100, bytes(1, 2));
    const writes = store.writes;
    expect(await datastore.storeFragment(1, 100, bytes(1, 2))).toBe(false);
    expect(await datastore.storeFragment(1, 200, bytes(1, 2))).toBe(false);
    expect(store.writes).toBe(writes);
    expect((await datastore.retrieveFragment(1)).timestamp).toBe(100);
  });

  it('R3 other bytes conflict and change nothing', async () => {
    await datastore.storeFragment(1, 100, bytes(1, 2));
    for (const other of [bytes(1, 3), bytes(1), bytes(), bytes(1, 2, 0)]) {
      await expect(datastore.storeFragment(1, 100, other)).rejects.toMatchObject({ code: 'RITUAL_CONFLICT' });
    }
    expect((await datastore.retrieveFragment(1)).fragment).toEqual(bytes(1, 2));
  });

  it('R3 a missing fragment, and a second delete, are reported', async () => {
    await expect(datastore.retrieveFragment(7)).rejects.toMatchObject({ code: 'RITUAL_NOT_FOUND' });
    await expect(datastore.deleteFragment(7)).rejects.toMatchObject({ code: 'RITUAL_NOT_FOUND' });
    await datastore.storeFragment(7, 1, bytes(7));
    await datastore.deleteFragment(7);
    await expect(datastore.deleteFragment(7)).rejects.toMatchObject({ code: 'RITUAL_NOT_FOUND' });
    expect(boxesOf(store)).toEqual([]);
  });

  it('R3 misuse is a RangeError or TypeError, and nothing is written', async () => {
    const writes = store.writes;
    for (const id of [-1, 1.5, Number.NaN, 2 ** 53]) {
      await expect(datastore.storeFragment(id, 1, bytes())).rejects.toThrow(RangeError);
      await expect(datastore.storeFragment(1, id, bytes())).rejects.toThrow(RangeError);
      await expect(datastore.retrieveFragment(id)).rejects.toThrow(RangeError);
      await expect(datastore.deleteFragment(id)).rejects.toThrow(RangeError);
    }
    // What plain JavaScript may pass.
    await expect(datastore.storeFragment(1, 1, 'text' as unknown as Uint8Array)).rejects.toThrow(TypeError);
    expect(store.writes).toBe(writes);
  });

  it('R3 the datastore keeps its own copy', async () => {
    const fragment = bytes(1, 2, 3);
    const storing = datastore.storeFragment(1, 1, fragment);
    fragment.fill(9);
    await storing;
    (await datastore.retrieveFragment(1)).fragment.fill(8);
    expect((await datastore.retrieveFragment(1)).fragment).toEqual(bytes(1, 2, 3));
  });

  it('R4 many rituals can be stored concurrently', async () => {
    const ids = Array.from({ length: 200 }, (_, id) => id);
    const stored = await Promise.all(
      ids.flatMap((id) => [0, 1, 2].map(() => datastore.storeFragment(id, 1000 - id, bytes(id)))),
    );
    expect(stored.filter(Boolean)).toHaveLength(200);
    await Promise.all([
      ...ids.filter((id) => id % 2 === 0).map((id) => datastore.deleteFragment(id)),
      ...ids.filter((id) => id % 2 === 1).map((id) => datastore.retrieveFragment(id)),
    ]);
    expect((await datastore.list()).map(({ id }) => id)).toEqual(ids.filter((id) => id % 2 === 1).reverse());
  });

  it('R4 the same id stored, deleted and stored again at the same time ends in one of the orders', async () => {
    const outcomes = await Promise.allSettled([
      datastore.storeFragment(1, 1, bytes(1)),
      datastore.deleteFragment(1),
      datastore.storeFragment(1, 2, bytes(2)),
      datastore.storeFragment(1, 3, bytes(1)),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
    expect(await datastore.retrieveFragment(1)).toEqual({ id: 1, timestamp: 2, fragment: bytes(2) });
    expect(await datastore.list()).toEqual([{ id: 1, timestamp: 2 }]);
  });

  it('R4 two datastores on one store do not disturb each other', async () => {
    const [first, second] = await Promise.all([Datastore.initialize(store), Datastore.initialize(store)]);
    const storing = Promise.all(
      Array.from({ length: 50 }, (_, id) => first.storeFragment(id, id, bytes(id))),
    );
    await Datastore.initialize(store);
    await storing;
    expect(second.count).toBe(50);
    for (let id = 0; id < 50; id += 1)
      expect((await second.retrieveFragment(id)).fragment).toEqual(bytes(id));
  });

  it('R8 expired rituals are those up to the cutoff, in order of time, then id', async () => {
    for (const [id, timestamp] of [
      [5, 300],
      [1, 200],
      [9, 100],
      [3, 200],
      [10, 201],
      [2, 0],
    ] as const) {
      await datastore.storeFragment(id, timestamp, bytes(id));
    }
    const ids = (found: readonly { readonly id: number }[]): number[] => found.map(({ id }) => id);
    expect(ids(await datastore.findExpired(200))).toEqual([2, 9, 1, 3]);
    expect(ids(await datastore.findExpired(199))).toEqual([2, 9]);
    expect(ids(await datastore.findExpired(0))).toEqual([2]);
    expect(ids(await datastore.list({ from: 200, until: 201 }))).toEqual([1, 3, 10]);
    expect(ids(await datastore.list({ reverse: true, limit: 2 }))).toEqual([5, 10]);
    expect(ids(await datastore.list({ limit: 0 }))).toEqual([]);
  });

  it('R8 the order by time is numeric for any times and ids', async () => {
    const integer = fc.nat(Number.MAX_SAFE_INTEGER);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(integer, integer), { selector: ([id]) => id }),
        integer,
        async (pairs, cutoff) => {
          const fresh = await Datastore.initialize(new MemoryStore());
          for (const [id, timestamp] of pairs) await fresh.storeFragment(id, timestamp, bytes());
          const expected = pairs
            .filter(([, timestamp]) => timestamp <= cutoff)
            .sort(([a, x], [b, y]) => x - y || a - b)
            .map(([id, timestamp]) => ({ id, timestamp }));
          expect(await fresh.findExpired(cutoff)).toEqual(expected);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('100,000 records', () => {
  it('R4 lookups are flat: the same number of store operations for any number of records', async () => {
    let reads = 0;
    const counting = new MemoryStore({
      beforeRead: () => {
        reads += 1;
      },
    });
    const datastore = await Datastore.initialize(counting);
    for (let id = 0; id < 100_000; id += 1)
      await datastore.storeFragment(id, 1_000_000 - id, bytes(id & 255));
    expect(datastore.count).toBe(100_000);
    reads = 0;
    for (const id of [0, 1, 49_999, 99_999])
      expect((await datastore.retrieveFragment(id)).fragment).toEqual(bytes(id & 255));
    // The fragment, and its key.
    expect(reads).toBe(8);
    expect(await datastore.findExpired(900_002)).toEqual([
      { id: 99_999, timestamp: 900_001 },
      { id: 99_998, timestamp: 900_002 },
    ]);
    expect(await datastore.list({ limit: 2, reverse: true })).toEqual([
      { id: 0, timestamp: 1_000_000 },
      { id: 1, timestamp: 999_999 },
    ]);
    await datastore.deleteFragment(50_000);
    const again = await Datastore.initialize(counting);
    expect(again.count).toBe(99_999);
    await expect(again.retrieveFragment(50_000)).rejects.toMatchObject({ code: 'RITUAL_NOT_FOUND' });
  }, 120_000);
});
