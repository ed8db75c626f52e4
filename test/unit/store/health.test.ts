import { describe, expect, it } from 'vitest';
import type { StoreFault } from '../../../src/store/api/health.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { storeOptions } from '../../support/store-on-disk.ts';

/** A store with an observer that records the reported codes. */
async function observedStore(disk: SimulatedDisk) {
  const told: string[] = [];
  const codeOf = (fault: StoreFault | undefined) => fault?.error.code ?? 'none';
  const observer = {
    writeFaultChanged: (fault: StoreFault | undefined) => void told.push(`write ${codeOf(fault)}`),
    readFailed: (fault: StoreFault) => void told.push(`read ${codeOf(fault)}`),
    compactionFaultChanged: (fault: StoreFault | undefined) => void told.push(`compaction ${codeOf(fault)}`),
  };
  const store = await SealedStore.create(storeOptions(disk, { observer, segmentBytes: 600 }));
  return { store, told, space: await store.namespace('space') };
}

describe('the health of a store', () => {
  it('has no faults while everything works, and includes the free bytes of the disk', async () => {
    const disk = new SimulatedDisk();
    const { store, space, told } = await observedStore(disk);
    await space.put('a', new Uint8Array(40));
    disk.setCapacity(disk.usedBytes + 12_345);
    expect(await store.health()).toMatchObject({
      diskBytes: store.stat().diskBytes,
      liveBytes: store.stat().liveBytes,
      freeBytes: 12_345,
      writeFault: undefined,
      isDiskFull: false,
      takesWrites: true,
      lastDiskFault: undefined,
      compactionFault: undefined,
    });
    expect(told).toEqual([]);
  });

  it('tells of each group of writes on the disk, and of each compaction, but of none that failed', async () => {
    const disk = new SimulatedDisk();
    const told: string[] = [];
    const observer = {
      groupWritten: (milliseconds: number) => void told.push(milliseconds >= 0 ? 'group' : 'negative'),
      compacted: () => void told.push('compacted'),
    };
    const store = await SealedStore.create(storeOptions(disk, { observer, segmentBytes: 600 }));
    const space = await store.namespace('space');
    const before = told.length;
    await space.put('a', new Uint8Array(40));
    expect(told.slice(before)).toEqual(['group']);
    disk.setCapacity(disk.usedBytes);
    await expect(space.put('b', new Uint8Array(400))).rejects.toMatchObject({ code: 'STORE_DISK_FULL' });
    expect(told.slice(before)).toEqual(['group']);
    disk.setCapacity(undefined);
    for (let round = 0; round < 40; round++) await space.put('a', new Uint8Array(40));
    await store.compact();
    expect(told).toContain('compacted');
  });

  it('shows a full disk from the first refused write until a write succeeds', async () => {
    const disk = new SimulatedDisk();
    const { store, space, told } = await observedStore(disk);
    disk.setCapacity(disk.usedBytes);
    for (const name of ['a', 'b'])
      await expect(space.put(name, new Uint8Array(40))).rejects.toMatchObject({ code: 'STORE_DISK_FULL' });
    expect(await store.health()).toMatchObject({ isDiskFull: true, takesWrites: true, freeBytes: 0 });
    expect(told).toEqual(['write STORE_DISK_FULL']);
    disk.setCapacity(undefined);
    await space.put('a', new Uint8Array(40));
    expect(told).toEqual(['write STORE_DISK_FULL', 'write none']);
    expect(await store.health()).toMatchObject({
      isDiskFull: false,
      writeFault: undefined,
      lastDiskFault: { error: { code: 'STORE_DISK_FULL' } },
    });
  });

  it('shows that the store takes no more writes after a failed sync', async () => {
    const disk = new SimulatedDisk();
    const { store, space } = await observedStore(disk);
    disk.inject(({ kind }) => (kind === 'sync' ? { code: 'EIO' } : undefined));
    await expect(space.put('a', new Uint8Array(40))).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED' });
    expect(await store.health()).toMatchObject({
      takesWrites: false,
      isDiskFull: false,
      writeFault: { error: { code: 'STORE_WRITE_FAILED' } },
    });
  });

  it('shows a failed read, and an observer that throws has no effect', async () => {
    const disk = new SimulatedDisk();
    const observer = {
      readFailed: () => {
        throw new Error('of the observer');
      },
    };
    const store = await SealedStore.create(storeOptions(disk, { observer }));
    const space = await store.namespace('space');
    await space.put('a', new Uint8Array(40));
    disk.inject(({ kind }) => (kind === 'read' ? { code: 'EIO' } : undefined));
    await expect(space.get('a')).rejects.toMatchObject({ code: 'STORE_READ_FAILED' });
    expect(await store.health()).toMatchObject({
      writeFault: undefined,
      lastDiskFault: { error: { code: 'STORE_READ_FAILED' } },
    });
  });
});
