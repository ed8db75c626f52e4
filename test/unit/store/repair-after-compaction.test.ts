import { expect, it } from 'vitest';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { contentOf, storeOptions } from '../../support/store-on-disk.ts';

it('a lossy repair goes on behind the last sequence of the log, whatever the numbers in compacted segments', async () => {
  const disk = new SimulatedDisk();
  const store = await SealedStore.create(storeOptions(disk));
  const space = await store.namespace('space');
  for (let turn = 0; turn < 4; turn += 1) await space.put(`name-${turn}`, new Uint8Array(100).fill(turn));
  await store.compact();
  await space.put('last', Uint8Array.of(1));
  const content = await contentOf(store);
  const { sequence } = store.head();
  await store.close();
  const plan = await SealedStore.planRepair(storeOptions(disk));
  expect(plan.losses).toEqual([]);
  await plan.apply();
  const again = await SealedStore.open(storeOptions(disk));
  expect(await contentOf(again)).toEqual(content);
  expect(again.head().sequence).toBe(sequence);
  await again.close();
});
