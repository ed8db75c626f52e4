import { describe, expect, it } from 'vitest';
import type { StoreFault } from '../../../src/store/api/health.ts';
import { Compactor } from '../../../src/store/maintain/compactor.ts';
import { readStore } from '../../../src/store/open/recovery.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { sourceOf } from '../../../src/store/store-options.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { storeKeyOf, storeOptions } from '../../support/store-on-disk.ts';

/** A store with finished segments full of dead records, and a compactor; the test runs the compactor's timers. */
async function deadWeight() {
  const disk = new SimulatedDisk();
  const told: (string | undefined)[] = [];
  const observer = {
    compactionFaultChanged: (fault: StoreFault | undefined) => void told.push(fault?.error.code),
  };
  const options = storeOptions(disk, { segmentBytes: 700, observer });
  const store = await SealedStore.create(options);
  const space = await store.namespace('n');
  for (let index = 0; index < 12; index += 1) await space.put('same', new Uint8Array(200).fill(index));
  await store.close();
  const source = { ...sourceOf(options, 'read-write'), storeKey: storeKeyOf(7) };
  const { state } = await readStore(source, undefined);
  const timers: { readonly task: () => void; readonly milliseconds: number; isOff: boolean }[] = [];
  const compactor = new Compactor(state, (task, milliseconds) => {
    const timer = { task, milliseconds, isOff: false };
    timers.push(timer);
    return () => {
      timer.isOff = true;
    };
  });
  return { disk, state, compactor, timers, told };
}

describe('a failed background compaction', () => {
  it('is reported once, repeated with growing pauses, and its next success is reported', async () => {
    const { disk, state, compactor, timers, told } = await deadWeight();
    const before = state.log.segments.length;
    disk.setCapacity(disk.usedBytes);
    compactor.wake();
    await compactor.settled();
    for (let turn = 0; turn < 10; turn += 1) {
      timers.at(-1)?.task();
      await compactor.settled();
    }
    expect(told).toEqual(['STORE_DISK_FULL']);
    expect(state.faults.compaction?.error.code).toBe('STORE_DISK_FULL');
    const pauses = timers.map(({ milliseconds }) => milliseconds);
    expect(pauses.slice(0, 4)).toEqual([1000, 2000, 4000, 8000]);
    expect(Math.max(...pauses)).toBe(300_000);
    disk.setCapacity(undefined);
    timers.at(-1)?.task();
    await compactor.settled();
    expect(told).toEqual(['STORE_DISK_FULL', undefined]);
    expect(state.log.segments.length).toBeLessThan(before);
    expect(timers).toHaveLength(11);
    await compactor.stop();
    await state.close();
  });

  it('is not tried again after closing', async () => {
    const { disk, state, compactor, timers } = await deadWeight();
    disk.setCapacity(disk.usedBytes);
    compactor.wake();
    await compactor.settled();
    expect(timers.map(({ isOff }) => isOff)).toEqual([false]);
    await compactor.stop();
    expect(timers.map(({ isOff }) => isOff)).toEqual([true]);
    await state.close();
  });
});
