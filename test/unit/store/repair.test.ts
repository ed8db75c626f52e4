import { describe, expect, it } from 'vitest';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import {
  contentOf,
  fileOn,
  filledDisk,
  STORE_PATH,
  segmentPaths,
  storeOptions,
} from '../../support/store-on-disk.ts';

const KEYS = `${STORE_PATH}/keys-0000000001`;

/** Repairs the store on the disk and gives what it said it would lose, and what is there afterwards. */
async function repaired(disk: SimulatedDisk, erasable: readonly string[]) {
  const before = disk.files();
  const plan = await SealedStore.planRepair(storeOptions(disk));
  expect(disk.files()).toEqual(before);
  await plan.apply();
  const store = await SealedStore.open(storeOptions(disk));
  const content = await contentOf(store, erasable);
  expect(content.size).toBe(plan.records);
  await store.close();
  expect((await SealedStore.check(storeOptions(disk))).isSound).toBe(true);
  expect(disk.operations.openHandles).toBe(0);
  return { losses: plan.losses, content };
}

describe('a lossy repair', () => {
  it('keeps the plain records when the file with the keys of erasable namespaces is missing', async () => {
    const disk = new SimulatedDisk();
    const content = await filledDisk(disk);
    disk.tamper(KEYS, undefined);
    const left = await repaired(disk, []);
    expect(left.losses.map(({ place }) => place)).toEqual(['keys-0000000001', 'secret-space']);
    expect([...left.content]).toEqual([...content].filter(([name]) => name.startsWith('plain-space/')));
    const store = await SealedStore.open(storeOptions(disk));
    await (await store.namespace('new', { erasable: true })).put('a', Uint8Array.of(1));
    await store.close();
    await (await SealedStore.open(storeOptions(disk))).close();
  });

  it('keeps records, also erasable ones, when the records with the names of their namespaces are lost', async () => {
    const disk = new SimulatedDisk();
    const content = await filledDisk(disk);
    const [first = ''] = segmentPaths(disk);
    const lost = new Set(['plain-space/first-0', 'secret-space/second-0']);
    const bytes = fileOn(disk, first);
    // The first frame after the header, which names the first namespace, and the second, which names the other.
    const secondAt = 128 + 72 + Buffer.from(bytes).readUInt32BE(128 + 12) + 32;
    disk.tamper(first, bytes.with(200, (bytes[200] ?? 0) ^ 1).with(secondAt + 100, 0xff));
    const left = await repaired(disk, ['lost-namespace-2']);
    expect(left.losses.map(({ place }) => place)).toEqual(
      expect.arrayContaining(['namespace 1', 'namespace 2']),
    );
    const renamed = new Map(
      [...left.content].map(([name, value]) => [
        name.replace('lost-namespace-1', 'plain-space').replace('lost-namespace-2', 'secret-space'),
        value,
      ]),
    );
    for (const [name, value] of content) if (!lost.has(name)) expect(renamed.get(name), name).toBe(value);
  });

  it('keeps the damaged segments when it is interrupted at any step and repeated', async () => {
    for (let cut = 1; cut < 100; cut++) {
      const disk = new SimulatedDisk();
      await filledDisk(disk);
      const damaged = segmentPaths(disk);
      const [first = ''] = damaged;
      disk.tamper(first, fileOn(disk, first).with(200, 0xff));
      const kept = damaged.map((path) => [path, fileOn(disk, path)] as const);
      const plan = await SealedStore.planRepair(storeOptions(disk));
      disk.cutAt(disk.steps + cut);
      await plan.apply().catch(() => undefined);
      const isDone = !disk.operations.off;
      const left = disk.afterPowerCut('subset', cut);
      const opened = await SealedStore.open(storeOptions(left)).catch(() => undefined);
      // Not handed over yet: it is as damaged as before, and can be repaired as before.
      if (opened === undefined) await (await SealedStore.planRepair(storeOptions(left))).apply();
      await (opened ?? (await SealedStore.open(storeOptions(left)))).close();
      for (const [path, bytes] of kept)
        expect(fileOn(left, path.replace('segment-', 'damaged-segment-')), `cut ${cut}`).toEqual(bytes);
      expect([...left.files().keys()].filter((path) => path.includes('REPAIRING'))).toEqual([]);
      if (isDone) return;
    }
    expect.fail('the repair had more steps than this test allows');
  }, 60_000);

  it('does not bring back a namespace that was erased', async () => {
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const store = await SealedStore.open(storeOptions(disk));
    await store.eraseNamespace('secret-space');
    await store.close();
    const [first = ''] = segmentPaths(disk);
    disk.tamper(first, undefined);
    const left = await repaired(disk, []);
    expect([...left.content.keys()].filter((name) => !name.startsWith('lost-namespace-1/'))).toEqual([]);
    expect(left.content.size).toBeGreaterThan(3);
  });
});
