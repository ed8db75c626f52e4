import { describe, expect, it } from 'vitest';
import { KEY_PLACE_BYTES } from '../../../src/store/keys/namespace-keys.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { fileOn, STORE_PATH, segmentPaths, storeOptions } from '../../support/store-on-disk.ts';

const KEYS = `${STORE_PATH}/keys-0000000001`;
const spaces = ['a', 'b', 'c'];

/** A closed store with three erasable namespaces, and a log that is long enough for a keys file of many places. */
async function closedStore(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const store = await SealedStore.create(storeOptions(disk));
  for (const name of spaces)
    await (await store.namespace(name, { erasable: true })).put('name', new Uint8Array(20_000));
  await store.close();
  return disk;
}

/** Counts the operations on a file from now on. */
function counted(disk: SimulatedDisk, file: string): Map<string, number> {
  const counts = new Map<string, number>();
  disk.inject(({ kind, path }) => void (path === file && counts.set(kind, (counts.get(kind) ?? 0) + 1)));
  return counts;
}

describe('what a hostile disk leaves in the folder of a store', () => {
  it('garbage at every second place of the keys file goes with one write and one sync', async () => {
    const disk = await closedStore();
    const places = 401;
    const bytes = new Uint8Array(places * KEY_PLACE_BYTES);
    bytes.set(fileOn(disk, KEYS));
    const living = bytes.slice(0, spaces.length * KEY_PLACE_BYTES);
    for (let place = 4; place < places; place += 2)
      bytes.fill(0xaa, place * KEY_PLACE_BYTES, place * KEY_PLACE_BYTES + 80);
    disk.tamper(KEYS, bytes);
    const counts = counted(disk, KEYS);
    const store = await SealedStore.open(storeOptions(disk));
    expect(store.opening.destroyedKeys).toBe(199);
    expect([counts.get('write'), counts.get('sync')]).toEqual([1, 1]);
    const left = fileOn(disk, KEYS);
    expect(left.slice(0, living.length)).toEqual(living);
    expect(left.slice(living.length).every((byte) => byte === 0)).toBe(true);
    for (const name of spaces)
      expect((await (await store.namespace(name, { erasable: true })).get('name'))?.length).toBe(20_000);
    await store.close();
  });

  it('garbage between living keys goes without a write to the place of a living key', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    for (const name of spaces) await store.namespace(name, { erasable: true });
    await store.eraseNamespace('b');
    await store.close();
    const bytes = fileOn(disk, KEYS).slice();
    const before = bytes.slice();
    bytes.fill(0xaa, KEY_PLACE_BYTES, 2 * KEY_PLACE_BYTES);
    const behind = new Uint8Array(bytes.length + KEY_PLACE_BYTES).fill(0xaa);
    behind.set(bytes);
    disk.tamper(KEYS, behind);
    const counts = counted(disk, KEYS);
    const again = await SealedStore.open(storeOptions(disk));
    expect(again.opening.destroyedKeys).toBe(2);
    expect([counts.get('write'), counts.get('sync')]).toEqual([2, 1]);
    expect(fileOn(disk, KEYS).slice(0, before.length)).toEqual(before);
    await again.close();
  });

  it('a keys file that is longer than it can be is overwritten only as far as keys can be in it', async () => {
    const disk = await closedStore();
    const orphan = `${STORE_PATH}/keys-0000000099`;
    disk.tamper(orphan, new Uint8Array(20 * 1024 * 1024).fill(0xaa));
    const counts = counted(disk, orphan);
    await (await SealedStore.open(storeOptions(disk))).close();
    expect([counts.get('write'), counts.get('unlink')]).toEqual([1, 1]);
    expect(disk.files().has(orphan)).toBe(false);
  });

  for (const name of ['segment-0000000077', 'keys-0000000099', 'MANIFEST.new', 'RESTORING', 'REPAIRING'])
    it(`a folder with the name ${name} refuses the opening before anything is changed`, async () => {
      const disk = await closedStore();
      const [log = ''] = segmentPaths(disk);
      // The torn end of a write, which an opening cuts off.
      disk.tamper(log, Buffer.concat([fileOn(disk, log), new Uint8Array(100).fill(1)]));
      disk.tamper(`${STORE_PATH}/segment-0000000066`, Uint8Array.of(1));
      await disk.mkdir(`${STORE_PATH}/${name}`);
      const before = disk.files();
      await expect(SealedStore.open(storeOptions(disk))).rejects.toMatchObject({
        code: 'STORE_FILE_IRREGULAR',
        field: `${STORE_PATH}/${name}`,
      });
      expect(disk.files()).toEqual(before);
      await disk.rmdir(`${STORE_PATH}/${name}`);
      const store = await SealedStore.open(storeOptions(disk));
      expect(store.opening.tornBytes).toBe(100);
      await store.close();
    });
});
