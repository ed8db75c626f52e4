import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import type { OpenOptions } from '../../../src/store/store-options.ts';
import { containing } from '../../support/head-judge.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';

const optionsOn = (fileSystem: SimulatedDisk): OpenOptions => ({
  fileSystem,
  path: '/store',
  storeKey: new SecretBytes(new Uint8Array(32).fill(7)),
  segmentBytes: 4096,
  compaction: 'manual',
});

const filledWith = (number: number): Uint8Array => new Uint8Array(100).fill(number);

/** 60 names in several segments: every third deleted, every other overwritten. */
async function written(disk: SimulatedDisk): Promise<SealedStore> {
  const store = await SealedStore.create(optionsOn(disk));
  const space = await store.namespace('space');
  for (let turn = 0; turn < 60; turn += 1) await space.put(`name-${turn}`, filledWith(turn));
  for (let turn = 0; turn < 60; turn += 3) await space.delete(`name-${turn}`);
  for (let turn = 1; turn < 60; turn += 3) await space.put(`name-${turn}`, filledWith(turn + 100));
  return store;
}

async function expectContent(store: SealedStore): Promise<void> {
  const space = await store.namespace('space');
  expect(space.size).toBe(40);
  for (let turn = 0; turn < 60; turn += 1) {
    const expected = turn % 3 === 0 ? undefined : filledWith(turn % 3 === 1 ? turn + 100 : turn);
    expect(await space.get(`name-${turn}`)).toEqual(expected);
  }
}

describe('compaction', () => {
  it('keeps live records, drops dead records, and survives reopening', async () => {
    const disk = new SimulatedDisk();
    const store = await written(disk);
    const before = store.stat();
    const head = store.head();
    await store.compact();
    const after = store.stat();
    expect(after.diskBytes).toBeLessThan(before.diskBytes / 2);
    expect([after.records, after.head]).toEqual([40, head]);
    await expectContent(store);
    await store.close();
    const again = await SealedStore.open({ ...optionsOn(disk), admit: containing(head) });
    await expectContent(again);
    expect(again.stat().liveBytes).toBe(after.liveBytes);
    await again.close();
  });

  it('drops a deleted name, also when it compacts in two steps', async () => {
    const disk = new SimulatedDisk();
    const store = await written(disk);
    const space = await store.namespace('space');
    await store.compact();
    for (let turn = 1; turn < 60; turn += 3) await space.delete(`name-${turn}`);
    await store.close();
    // The automatic one compacts single segments, and so has to keep deletions that hide older records.
    const again = await SealedStore.open({ ...optionsOn(disk), compaction: 'automatic' });
    const more = await again.namespace('space');
    for (let turn = 0; turn < 100; turn += 1) await more.put('busy', filledWith(turn));
    await again.settled();
    await again.close();
    const last = await SealedStore.open(optionsOn(disk));
    expect([...(await last.namespace('space')).names({ prefix: 'name-' })]).toHaveLength(20);
    await last.close();
  });

  it('runs while other callers write, and hides none of their writes', async () => {
    const disk = new SimulatedDisk();
    const store = await written(disk);
    const space = await store.namespace('space');
    const compacted = store.compact();
    await Promise.all(
      Array.from({ length: 40 }, async (_, turn) => {
        await space.put(`name-${turn}`, filledWith(200));
        await space.delete(`name-${turn + 20}`);
      }),
    );
    await compacted;
    const expected = [...space.names()].map((name) => name);
    await store.close();
    const again = await SealedStore.open(optionsOn(disk));
    const reopened = await again.namespace('space');
    expect([...reopened.names()]).toEqual(expected);
    for (let turn = 0; turn < 20; turn += 1)
      expect(await reopened.get(`name-${turn}`)).toEqual(filledWith(200));
    await again.close();
  });

  it('keeps the files of a snapshot until it is released', async () => {
    const disk = new SimulatedDisk();
    const store = await written(disk);
    const snapshot = store.snapshot();
    const segments = () => [...disk.files().keys()].filter((path) => path.includes('segment-')).length;
    const before = segments();
    const space = await store.namespace('space');
    await space.put('name-1', filledWith(1));
    await store.compact();
    expect(await snapshot.namespace('space').get('name-1')).toEqual(filledWith(101));
    expect(segments()).toBeGreaterThan(before);
    snapshot.release();
    await store.settled();
    expect(segments()).toBeLessThan(before);
    expect(() => snapshot.namespace('space')).toThrow(
      expect.objectContaining({ code: 'STORE_SNAPSHOT_RELEASED' }),
    );
    await store.close();
  });

  it('does not change the store when the disk is full', async () => {
    const disk = new SimulatedDisk();
    const store = await written(disk);
    disk.setCapacity(store.stat().diskBytes + 1500);
    await expect(store.compact()).rejects.toMatchObject({ code: 'STORE_DISK_FULL' });
    await expectContent(store);
    disk.setCapacity(undefined);
    await store.compact();
    await expectContent(store);
    await store.close();
  });
});

describe('compaction and erasing at the same time', () => {
  it('keep the store correct when the erasure runs at any step of the compaction', async () => {
    let isMet = true;
    for (let at = 1; isMet; at += 1) {
      const disk = new SimulatedDisk();
      const store = await SealedStore.create(optionsOn(disk));
      const plain = await store.namespace('plain');
      const secret = await store.namespace('secret', { erasable: true });
      for (let turn = 0; turn < 20; turn += 1) {
        await plain.put(`name-${turn}`, filledWith(turn));
        await secret.put(`name-${turn}`, filledWith(turn));
        if (turn % 3 === 0) await secret.delete(`name-${turn}`);
      }
      let operations = 0;
      let erasing: Promise<boolean> | undefined;
      disk.inject(() => {
        operations += 1;
        // Not inside the operation that it meets.
        if (operations === at) erasing = Promise.resolve().then(() => store.eraseNamespace('secret'));
        return undefined;
      });
      await store.compact();
      disk.inject(undefined);
      isMet = erasing !== undefined;
      expect(await erasing).toBe(isMet ? true : undefined);
      await store.close();
      const again = await SealedStore.open(optionsOn(disk));
      expect(again.namespaces()).toEqual(isMet ? ['plain'] : ['plain', 'secret']);
      expect((await again.namespace('plain')).size).toBe(20);
      await again.close();
    }
  });
});
