import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Datastore } from '../../../src/rituals/datastore.ts';
import { KEYS_PER_BOX } from '../../../src/rituals/key-box.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const missing = { code: 'RITUAL_NOT_FOUND' };
const boxesOf = (store: MemoryStore): string[] =>
  store.namespaces().filter((name) => name.startsWith('rituals/keys/'));

describe('R12 revoking one ritual', () => {
  let store: MemoryStore;
  let datastore: Datastore;
  beforeEach(async () => {
    store = new MemoryStore();
    datastore = await Datastore.initialize(store);
  });

  it('R12 destroys the box with its key, and a later fragment of the id gets another box', async () => {
    await datastore.storeFragment(1, 1, bytes(1));
    const before = boxesOf(store);
    expect(before).toHaveLength(1);
    await datastore.deleteFragment(1);
    expect(boxesOf(store)).toEqual([]);
    await datastore.storeFragment(1, 5, bytes(2));
    expect(boxesOf(store)).not.toEqual(before);
    expect(await datastore.retrieveFragment(1)).toEqual({ id: 1, timestamp: 5, fragment: bytes(2) });
  });

  it('R12 keeps all other fragments, in any box and stored in any order', async () => {
    const count = 3 * KEYS_PER_BOX + 1;
    for (let id = 0; id < count; id += 1) await datastore.storeFragment(id, id, bytes(id & 255));
    expect(boxesOf(store)).toHaveLength(4);
    const revoked = [0, KEYS_PER_BOX, KEYS_PER_BOX + 1, count - 1, 2];
    for (const id of revoked) {
      await datastore.deleteFragment(id);
      for (const name of boxesOf(store))
        expect(store.records(name).size, name).toBeLessThanOrEqual(KEYS_PER_BOX);
    }
    for (const table of [datastore, await Datastore.initialize(store)]) {
      expect(table.count).toBe(count - revoked.length);
      for (let id = 0; id < count; id += 1) {
        if (revoked.includes(id)) await expect(table.retrieveFragment(id)).rejects.toMatchObject(missing);
        else expect((await table.retrieveFragment(id)).fragment).toEqual(bytes(id & 255));
      }
    }
  });

  it('R12 no box takes more keys than its limit, also with many concurrent fragments', async () => {
    const count = 4 * KEYS_PER_BOX;
    await Promise.all(Array.from({ length: count }, (_, id) => datastore.storeFragment(id, id, bytes(id))));
    expect(boxesOf(store).map((name) => store.records(name).size)).toEqual(Array(4).fill(KEYS_PER_BOX));
  });

  it('R12 concurrent revocations of one box destroy it once', async () => {
    for (let id = 0; id < KEYS_PER_BOX; id += 1) await datastore.storeFragment(id, id, bytes(id));
    const writes = store.writes;
    await Promise.all(
      Array.from({ length: KEYS_PER_BOX - 1 }, (_, index) => datastore.deleteFragment(index + 1)),
    );
    expect(await datastore.list()).toEqual([{ id: 0, timestamp: 0 }]);
    // A box, the batch that moves what stays, and erasing: at most twice, for the first may go before the others.
    expect(store.writes - writes).toBeLessThanOrEqual(6);
  });

  it('R12 concurrent operations have the result of sequential ones', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            id: fc.nat(2 * KEYS_PER_BOX),
            kind: fc.constantFrom('store', 'store', 'delete', 'read'),
            pause: fc.nat(3),
          }),
          { minLength: 1, maxLength: 150 },
        ),
        async (steps) => {
          const fresh = new MemoryStore({
            beforeWrite: () => new Promise((resolve) => setImmediate(resolve)),
          });
          const table = await Datastore.initialize(fresh);
          const last = new Map<number, Promise<unknown>>();
          const model = new Map<number, number>();
          for (const [index, { id, kind, pause }] of steps.entries()) {
            // Per id in order, as the model is; everything else at once.
            const before = last.get(id) ?? Promise.resolve();
            const step = before.then(() => runStep(table, model, { id, kind, value: index & 255 }));
            last.set(id, step);
            for (let turn = 0; turn < pause; turn += 1) await undefined;
          }
          await Promise.all(last.values());
          const again = await Datastore.initialize(fresh);
          expect((await again.list()).map(({ id }) => id)).toEqual([...model.keys()].sort((a, b) => a - b));
          for (const [id, value] of model)
            expect((await again.retrieveFragment(id)).fragment).toEqual(bytes(value));
          for (const name of boxesOf(fresh)) expect(fresh.records(name).size).toBeGreaterThan(0);
        },
      ),
      { numRuns: 40 },
    );
  });
});

async function runStep(
  table: Datastore,
  model: Map<number, number>,
  { id, kind, value }: { readonly id: number; readonly kind: string; readonly value: number },
): Promise<void> {
  const present = model.get(id);
  if (kind === 'store' && present === undefined) {
    await table.storeFragment(id, id, bytes(value));
    model.set(id, value);
  } else if (kind === 'delete' && present !== undefined) {
    await table.deleteFragment(id);
    model.delete(id);
  } else {
    const found = await table.retrieveFragment(id).catch(() => undefined);
    expect(found?.fragment[0]).toBe(present);
  }
}

describe('interrupted by a failing store', () => {
  let failAt = 0;
  const failingStore = (): MemoryStore =>
    new MemoryStore({
      beforeWrite: () => {
        failAt -= 1;
        if (failAt === 0) throw new Error('disk');
      },
    });

  it('R12 when any step fails, a second try succeeds, and no other fragment is lost', async () => {
    let failures = 0;
    for (let step = 1; step <= 9; step += 1) {
      failAt = 0;
      const store = failingStore();
      const datastore = await Datastore.initialize(store);
      for (let id = 0; id < 3; id += 1) await datastore.storeFragment(id, id, bytes(id));
      failAt = step;
      const outcome = await datastore.deleteFragment(1).then(
        () => 'done',
        () => 'failed',
      );
      failAt = 0;
      if (outcome === 'failed') {
        failures += 1;
        await datastore.deleteFragment(1);
      }
      await expect(datastore.deleteFragment(1)).rejects.toMatchObject(missing);
      expect(await datastore.list()).toEqual([0, 2].map((id) => ({ id, timestamp: id })));
      for (const id of [0, 2]) expect((await datastore.retrieveFragment(id)).fragment).toEqual(bytes(id));
      expect(await datastore.storeFragment(1, 2, bytes(9))).toBe(true);
      expect(boxesOf(store).every((name) => store.records(name).size > 0)).toBe(true);
    }
    // The batch, the new box, erasing the old one.
    expect(failures).toBe(3);
  });

  it('R12 the key of a fragment that is no longer listed is destroyed by the next operation', async () => {
    for (const next of ['open again', 'delete again', 'delete another'] as const) {
      failAt = 0;
      const store = failingStore();
      const datastore = await Datastore.initialize(store);
      await datastore.storeFragment(1, 1, bytes(1));
      await datastore.storeFragment(2, 2, bytes(2));
      const [box = ''] = boxesOf(store);
      // The next box, the batch; then erasing fails.
      failAt = 3;
      await expect(datastore.deleteFragment(1)).rejects.toThrow('disk');
      await expect(datastore.retrieveFragment(1)).rejects.toMatchObject(missing);
      expect(store.hasNamespace(box)).toBe(true);
      if (next === 'open again') await Datastore.initialize(store);
      else await datastore.deleteFragment(next === 'delete again' ? 1 : 2);
      expect(store.hasNamespace(box), next).toBe(false);
    }
  });

  it('R2 a failed store operation leaves no fragment, and a retry succeeds', async () => {
    for (let step = 1; step <= 2; step += 1) {
      failAt = 0;
      const datastore = await Datastore.initialize(failingStore());
      failAt = step;
      await expect(datastore.storeFragment(1, 1, bytes(1))).rejects.toThrow('disk');
      expect([datastore.count, await datastore.list()]).toEqual([0, []]);
      expect(await datastore.storeFragment(1, 1, bytes(1))).toBe(true);
    }
  });
});
