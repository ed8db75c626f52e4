import { describe, expect, it } from 'vitest';
import type { Namespace } from '../../../src/store/api/store-api.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import {
  contentOf,
  fileOn,
  STORE_PATH,
  segmentPaths,
  storeKeyOf,
  storeOptions,
} from '../../support/store-on-disk.ts';

async function opened(): Promise<{ disk: SimulatedDisk; store: SealedStore; space: Namespace }> {
  const disk = new SimulatedDisk();
  const store = await SealedStore.create(storeOptions(disk));
  const space = await store.namespace('space');
  await space.put('kept', Uint8Array.of(1));
  return { disk, store, space };
}

const put = (name: string, value: Uint8Array) => ({ kind: 'put', namespace: 'space', name, value }) as const;

describe('a disk that fails', () => {
  it('full in the middle of a batch: the batch is not kept, reads continue, and writes continue when there is room', async () => {
    const { disk, store, space } = await opened();
    const [path = ''] = segmentPaths(disk);
    const durable = fileOn(disk, path).length;
    disk.setCapacity([...disk.files().values()].reduce((sum, bytes) => sum + bytes.length, 0) + 2000);
    const batch = [put('a', new Uint8Array(1000)), put('b', new Uint8Array(2000))];
    const full = { code: 'STORE_DISK_FULL' };
    await expect(store.batch(batch)).rejects.toMatchObject(full);
    expect(fileOn(disk, path).length).toBe(durable);
    expect([space.has('a'), await space.get('kept')]).toEqual([false, Uint8Array.of(1)]);
    await space.put('small', Uint8Array.of(2));
    disk.setCapacity(undefined);
    await store.batch(batch);
    await store.close();
    const again = await SealedStore.open(storeOptions(disk));
    expect([...(await contentOf(again)).keys()]).toEqual(['space/a', 'space/b', 'space/kept', 'space/small']);
    await again.close();
  });

  it('rejects every write that was sealed after the failed write', async () => {
    const { disk, store, space } = await opened();
    disk.setCapacity([...disk.files().values()].reduce((sum, bytes) => sum + bytes.length, 0) + 500);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, turn) => space.put(`name-${turn}`, new Uint8Array(200))),
    );
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    expect([...space.names()]).toEqual(['kept']);
    await space.put('after', Uint8Array.of(1));
    await store.close();
  });

  it('fdatasync fails: no more writes on this handle, reads continue, acknowledged records stay', async () => {
    const { disk, store, space } = await opened();
    disk.inject(({ kind }) => (kind === 'sync' ? { code: 'EIO' } : undefined));
    const failed = { code: 'STORE_WRITE_FAILED' };
    await expect(space.put('lost', Uint8Array.of(2))).rejects.toMatchObject(failed);
    disk.inject(undefined);
    await expect(space.put('more', Uint8Array.of(3))).rejects.toMatchObject(failed);
    await expect(store.namespace('new')).rejects.toMatchObject(failed);
    expect(await space.get('kept')).toEqual(Uint8Array.of(1));
    await store.close();
    const again = await SealedStore.open(storeOptions(disk));
    expect((await contentOf(again)).has('space/kept')).toBe(true);
    await (await again.namespace('space')).put('more', Uint8Array.of(3));
    await again.close();
  });

  it('read-only: gives its own error code', async () => {
    const disk = new SimulatedDisk();
    disk.inject(({ kind }) => (kind === 'mkdir' ? { code: 'EROFS' } : undefined));
    const readOnly = { code: 'STORE_DISK_READ_ONLY' };
    await expect(SealedStore.create(storeOptions(disk))).rejects.toMatchObject(readOnly);
  });
});

describe('a disk that failed once', () => {
  /** A store with its default room used up, the path of its segment, and the next write to it failing halfway. */
  async function failingOnce(segmentBytes?: number) {
    const disk = new SimulatedDisk();
    const more = segmentBytes === undefined ? {} : { segmentBytes };
    const store = await SealedStore.create({ ...storeOptions(disk), roomBytes: 65_536, ...more });
    const space = await store.namespace('space');
    await space.put('kept', new Uint8Array(70_000));
    const [path = ''] = segmentPaths(disk);
    let isArmed = true;
    disk.inject((step) => {
      if (!isArmed || step.kind !== 'write' || step.path !== path) return undefined;
      isArmed = false;
      return { code: 'EIO', writtenBytes: 4096 };
    });
    return { disk, store, space };
  }

  it.each(['rotate', 'compact', 'fill'] as const)(
    'gets no finished segment with an unknown tail (%s)',
    async (task) => {
      const { disk, store, space } = await failingOnce(task === 'fill' ? 90_000 : undefined);
      const jobs: Promise<unknown>[] = [space.put('b', new Uint8Array(20_000))];
      // While the write is under way: what is submitted later is refused at once.
      await null;
      await null;
      if (task === 'rotate') jobs.push(store.rotateStoreKey(storeKeyOf(8)));
      if (task === 'compact') jobs.push(store.compact());
      jobs.push(space.put('c', new Uint8Array(10)));
      const outcomes = await Promise.allSettled(jobs);
      expect(outcomes.map(({ status }) => status)).toEqual(jobs.map(() => 'rejected'));
      disk.inject(undefined);
      await store.close();
      const again = await SealedStore.open(storeOptions(disk));
      expect([...(await contentOf(again)).keys()]).toEqual(['space/kept']);
      await again.close();
    },
  );
});

describe('misuse', () => {
  it('of names, values and batches is refused', async () => {
    const { store, space } = await opened();
    const badName = { code: 'STORE_NAME_INVALID' };
    for (const name of ['', 'x'.repeat(4097), 'half \ud800 pair'])
      await expect(space.put(name, Uint8Array.of(1))).rejects.toMatchObject(badName);
    await expect(store.namespace('')).rejects.toMatchObject(badName);
    // The type forbids it, but a caller in JavaScript can do it.
    await expect(space.put('n', 'text' as unknown as Uint8Array)).rejects.toBeInstanceOf(TypeError);
    const tooLarge = { code: 'STORE_VALUE_TOO_LARGE' };
    await expect(space.put('n', new Uint8Array(16 * 1024 * 1024 + 1))).rejects.toMatchObject(tooLarge);
    const huge = Array.from({ length: 5 }, (_, turn) => put(`n${turn}`, new Uint8Array(15 * 1024 * 1024)));
    await expect(store.batch(huge)).rejects.toMatchObject({ code: 'STORE_BATCH_TOO_LARGE' });
    const elsewhere = { ...put('n', Uint8Array.of(1)), namespace: 'nowhere' };
    await expect(store.batch([elsewhere])).rejects.toMatchObject({ code: 'STORE_NAMESPACE_MISSING' });
    expect([...space.names()]).toEqual(['kept']);
    await store.close();
  });

  it('of a batch limit: the size includes the padding, twice for an erasable namespace', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk, { paddingBytes: 65_536 }));
    await store.namespace('space');
    await store.namespace('erasable', { erasable: true });
    const batchOf = (namespace: string) =>
      Array.from({ length: 600 }, (_, turn) => ({ ...put(`n${turn}`, Uint8Array.of(1)), namespace }));
    const tooLarge = { code: 'STORE_BATCH_TOO_LARGE' };
    await expect(store.batch(batchOf('erasable'))).rejects.toMatchObject(tooLarge);
    await store.batch(batchOf('space'));
    await store.close();
  });

  it('does not include the largest value and the longest name', async () => {
    const { disk, store, space } = await opened();
    const value = new Uint8Array(16 * 1024 * 1024).fill(3);
    await space.put('n'.repeat(4096), value);
    // Not toEqual: it takes minutes over 16 MiB.
    const isThere = async (where: Namespace): Promise<boolean> =>
      Buffer.compare(value, (await where.get('n'.repeat(4096))) ?? new Uint8Array(0)) === 0;
    expect(await isThere(space)).toBe(true);
    await store.close();
    const again = await SealedStore.open(storeOptions(disk));
    expect(await isThere(await again.namespace('space'))).toBe(true);
    await again.close();
  });

  it('of a closed store and an erased namespace is refused', async () => {
    const { store } = await opened();
    const erasable = await store.namespace('erasable', { erasable: true });
    await erasable.put('n', Uint8Array.of(1));
    await store.eraseNamespace('erasable');
    const missing = { code: 'STORE_NAMESPACE_MISSING' };
    await expect(erasable.put('n', Uint8Array.of(1))).rejects.toMatchObject(missing);
    expect(await erasable.get('n')).toBeUndefined();
    const space = await store.namespace('space');
    await store.close();
    await store.close();
    const closed = { code: 'STORE_CLOSED' };
    await expect(space.put('n', Uint8Array.of(1))).rejects.toMatchObject(closed);
    await expect(space.get('n')).rejects.toMatchObject(closed);
    await expect(store.namespace('space')).rejects.toMatchObject(closed);
    expect(() => store.head()).toThrow(expect.objectContaining(closed));
  });

  it('of paths is refused: an existing store, other files, a file', async () => {
    const { disk, store } = await opened();
    await store.close();
    await expect(SealedStore.create(storeOptions(disk))).rejects.toMatchObject({ code: 'STORE_EXISTS' });
    const filePath = `${STORE_PATH}/MANIFEST`;
    const notFolder = { code: 'STORE_PLACE_NOT_A_FOLDER' };
    await expect(SealedStore.create({ ...storeOptions(disk), path: filePath })).rejects.toMatchObject(
      notFolder,
    );
    const other = new SimulatedDisk();
    await other.mkdir(STORE_PATH);
    other.tamper(`${STORE_PATH}/note`, Uint8Array.of(1));
    await expect(SealedStore.create(storeOptions(other))).rejects.toMatchObject({
      code: 'STORE_PLACE_NOT_EMPTY',
    });
    expect([...other.files().keys()]).toEqual([`${STORE_PATH}/note`]);
  });
});
