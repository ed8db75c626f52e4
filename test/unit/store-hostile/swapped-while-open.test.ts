import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../src/crypto/random.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { contentOf, fileOn, segmentPaths, storeOptions } from '../../support/store-on-disk.ts';

/** Puts other bytes into a file that a store has open, as a host can. */
async function overwrite(disk: SimulatedDisk, path: string, bytes: Uint8Array): Promise<void> {
  const handle = await disk.open(path, 'read-write');
  await handle.write([bytes], 0);
  await handle.sync();
  await handle.close();
}

describe('a host that puts another segment of the store into a file that is open', () => {
  it('does not make compaction drop the records of that file', async () => {
    const disk = new SimulatedDisk();
    // Segments that a program before 2026-12 compacted all begin with record 0.
    const random = (bytes: number) => (bytes === 6 ? new Uint8Array(6) : systemRandom(bytes));
    const store = await SealedStore.create(storeOptions(disk, { segmentBytes: 1500, random }));
    const space = await store.namespace('space');
    for (let turn = 0; turn < 30; turn += 1) await space.put(`name-${turn}`, new Uint8Array(100).fill(turn));
    // Whole ones of equal records are of one length.
    await store.compact();
    const [, , first = '', second = ''] = segmentPaths(disk);
    const genuine = fileOn(disk, first);
    expect(fileOn(disk, second)).toHaveLength(genuine.length);
    const content = await contentOf(store);

    await overwrite(disk, first, fileOn(disk, second));
    await expect(store.compact()).rejects.toMatchObject({ code: 'STORE_SEGMENT_DAMAGED' });

    await overwrite(disk, first, genuine);
    expect(await contentOf(store)).toEqual(content);
    await store.compact();
    await store.close();
    const again = await SealedStore.open(storeOptions(disk));
    expect(await contentOf(again)).toEqual(content);
    await again.close();
  });
});

describe('a host that shows an open store records of a history that it cut off', () => {
  const filledWith = (byte: number): Uint8Array => new Uint8Array(100).fill(byte);

  /** A store in which `former` was written and lost with a power cut, and `present` in its place; and the lost bytes. */
  async function twoHistories(
    former: (store: SealedStore) => Promise<void>,
    present: (store: SealedStore) => Promise<void>,
  ) {
    const disk = new SimulatedDisk();
    const created = await SealedStore.create(storeOptions(disk));
    await created.namespace('first');
    await created.namespace('secret', { erasable: true });
    await (await created.namespace('second')).put('kept', filledWith(1));
    await created.close();
    const lost = disk.clone();
    await former(await SealedStore.open(storeOptions(lost)));
    const store = await SealedStore.open(storeOptions(disk));
    await present(store);
    const [path = ''] = segmentPaths(disk);
    const other = fileOn(lost, path);
    expect(other).toHaveLength(fileOn(disk, path).length);
    await overwrite(disk, path, other);
    return store;
  }

  it('shows none under the name of another one', async () => {
    const store = await twoHistories(
      async (before) => (await before.namespace('second')).put('other', filledWith(2)),
      async (now) => (await now.namespace('second')).put('named', filledWith(3)),
    );
    const read = (await store.namespace('second')).get('named');
    await expect(read).rejects.toMatchObject({ code: 'STORE_RECORD_DAMAGED' });
    await store.close();
  });

  it('shows none in another namespace', async () => {
    const store = await twoHistories(
      async (before) => (await before.namespace('first')).put('named', filledWith(2)),
      async (now) => (await now.namespace('second')).put('named', filledWith(3)),
    );
    const read = (await store.namespace('second')).get('named');
    await expect(read).rejects.toMatchObject({ code: 'STORE_RECORD_DAMAGED' });
    await store.close();
  });

  it('shows none under the name of another one of an erasable namespace', async () => {
    const erasable = { erasable: true };
    const store = await twoHistories(
      async (before) => (await before.namespace('secret', erasable)).put('other', filledWith(2)),
      async (now) => (await now.namespace('secret', erasable)).put('named', filledWith(3)),
    );
    const read = (await store.namespace('secret', erasable)).get('named');
    await expect(read).rejects.toMatchObject({ code: 'STORE_RECORD_DAMAGED' });
    await store.close();
  });

  it('shows no deletion as an empty value', async () => {
    const store = await twoHistories(
      async (before) => void (await (await before.namespace('second')).delete('kept')),
      async (now) => (await now.namespace('second')).put('kept', new Uint8Array(0)),
    );
    const read = (await store.namespace('second')).get('kept');
    await expect(read).rejects.toMatchObject({ code: 'STORE_RECORD_DAMAGED' });
    await store.close();
  });
});

describe('a host that keeps what a compaction wrote that was cut off', () => {
  it('cannot show it in place of what the next one wrote', async () => {
    const disk = new SimulatedDisk();
    const first = await SealedStore.create(storeOptions(disk));
    const space = await first.namespace('space');
    for (let turn = 0; turn < 4; turn += 1) await space.put(`name-${turn}`, new Uint8Array(100).fill(turn));
    await first.close();
    // What a kill at the end of this compaction leaves, before the manifest lists it.
    const killed = disk.clone();
    const compacting = await SealedStore.open(storeOptions(killed));
    await compacting.compact();

    const store = await SealedStore.open(storeOptions(disk));
    await (await store.namespace('space')).put('name-3', new Uint8Array(100).fill(77));
    await store.compact();
    const name = segmentPaths(disk).find((path) => fileOn(disk, path).length > 500) ?? '';
    await overwrite(disk, name, fileOn(killed, name));
    // It was there with its former value, under the same number of a segment.
    const read = (await store.namespace('space')).get('name-3');
    await expect(read).rejects.toMatchObject({ code: 'STORE_RECORD_DAMAGED' });
    await store.close();
    await compacting.close();
  });
});
