import { describe, expect, it } from 'vitest';
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
    const store = await SealedStore.create(storeOptions(disk, { segmentBytes: 1500 }));
    const space = await store.namespace('space');
    for (let turn = 0; turn < 30; turn += 1) await space.put(`name-${turn}`, new Uint8Array(100).fill(turn));
    // Compacted segments all begin with record 0, and whole ones of equal records are of one length.
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
