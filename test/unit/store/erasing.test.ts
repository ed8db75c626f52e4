import { describe, expect, it } from 'vitest';
import { NamespaceTable } from '../../../src/store/index/namespace-table.ts';
import { Compactor } from '../../../src/store/maintain/compactor.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import type { StoreState } from '../../../src/store/store-state.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { fileOn, STORE_PATH, segmentPaths, storeOptions } from '../../support/store-on-disk.ts';

const options = (disk: SimulatedDisk) => storeOptions(disk, { segmentBytes: 4096, compaction: 'automatic' });

const filledWith = (number: number): Uint8Array => new Uint8Array(600).fill(number);

/** Segments of plain records, then segments with both kinds, then plain ones again. */
async function withBoth(disk: SimulatedDisk): Promise<SealedStore> {
  const store = await SealedStore.create(options(disk));
  const plain = await store.namespace('plain');
  const ritual = await store.namespace('ritual', { erasable: true });
  for (let turn = 0; turn < 30; turn++) await plain.put(`early-${turn}`, filledWith(turn));
  for (let turn = 0; turn < 4; turn++) {
    await ritual.put(`share-${turn}`, filledWith(turn));
    await plain.put(`beside-${turn}`, filledWith(turn));
  }
  for (let turn = 0; turn < 30; turn++) await plain.put(`late-${turn}`, filledWith(turn));
  await store.settled();
  return store;
}

/** Every 64 bytes of the segments, to recognise ciphertext by. */
function pieces(disk: SimulatedDisk): Set<string> {
  const found = new Set<string>();
  for (const path of segmentPaths(disk)) {
    const bytes = Buffer.from(fileOn(disk, path));
    for (let at = 0; at + 64 <= bytes.length; at += 64) found.add(bytes.toString('hex', at, at + 64));
  }
  return found;
}

async function expectPlainRecords(store: SealedStore): Promise<void> {
  const plain = await store.namespace('plain');
  expect(plain.size).toBe(64);
  for (const [prefix, count] of [
    ['early', 30],
    ['beside', 4],
    ['late', 30],
  ] as const)
    for (let turn = 0; turn < count; turn++)
      expect(await plain.get(`${prefix}-${turn}`)).toEqual(filledWith(turn));
}

describe('erasing a namespace', () => {
  it('rewrites the segments that held its records, and only those', async () => {
    const disk = new SimulatedDisk();
    const store = await withBoth(disk);
    const before = new Map(segmentPaths(disk).map((path) => [path, fileOn(disk, path)]));
    const { liveBytes } = store.stat();
    expect(await store.eraseNamespace('ritual')).toBe(true);
    expect(segmentPaths(disk)).toEqual([...before.keys()]);
    await store.settled();
    const after = segmentPaths(disk);
    const gone = [...before.keys()].filter((path) => !after.includes(path));
    expect(gone.length).toBeGreaterThan(0);
    expect(gone.length).toBeLessThan(before.size / 2);
    for (const path of after.filter((name) => before.has(name)).slice(0, -1))
      expect(fileOn(disk, path)).toEqual(before.get(path));
    expect(liveBytes - store.stat().liveBytes).toBeGreaterThan(4 * 600);
    await expectPlainRecords(store);
    await store.close();
    const again = await SealedStore.open(options(disk));
    expect(again.namespaces()).toEqual(['plain']);
    await expectPlainRecords(again);
    await again.close();
  });

  it('leaves no ciphertext of a namespace in the current segment', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(options(disk));
    const ritual = await store.namespace('ritual', { erasable: true });
    const before = pieces(disk);
    await ritual.put('share', filledWith(7));
    const itsOwn = [...pieces(disk)].filter((piece) => !before.has(piece));
    expect(itsOwn.length).toBeGreaterThan(8);
    await store.eraseNamespace('ritual');
    await store.settled();
    const after = pieces(disk);
    // The first and last pieces share their 64 bytes with neighbours.
    expect(itsOwn.slice(1, -1).filter((piece) => after.has(piece))).toEqual([]);
    await store.close();
  });

  it('is completed by the next process when this one dies first', async () => {
    const disk = new SimulatedDisk();
    const store = await withBoth(disk);
    const before = segmentPaths(disk);
    await store.eraseNamespace('ritual');
    const left = disk.afterPowerCut('lost');
    const next = await SealedStore.open(options(left));
    await next.settled();
    expect(before.filter((path) => !segmentPaths(left).includes(path)).length).toBeGreaterThan(0);
    await expectPlainRecords(next);
    await next.close();
    await store.close();
  });

  it('leaves the segment alone that only says so, also when all of it is replayed', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk, { segmentBytes: 4096 }));
    const plain = await store.namespace('plain');
    await (await store.namespace('ritual', { erasable: true })).put('share', filledWith(7));
    // The record that says that it is erased comes into a later segment than all others of it.
    for (let turn = 0; turn < 9; turn++) await plain.put(`late-${turn}`, filledWith(turn));
    await store.eraseNamespace('ritual');
    const saysSo = segmentPaths(disk).at(-1);
    for (let turn = 0; turn < 9; turn++) await plain.put(`later-${turn}`, filledWith(turn));
    const [first, ...others] = segmentPaths(disk);
    expect(others).toContain(saysSo);
    const left = disk.afterPowerCut('lost');
    const next = await SealedStore.open(options(left));
    await next.settled();
    expect(segmentPaths(left)).not.toContain(first);
    expect(segmentPaths(left)).toEqual(expect.arrayContaining(others));
    expect((await next.namespace('plain')).size).toBe(18);
    await next.close();
    await store.close();
  });

  it('survives a power cut at every step of the sweep', async () => {
    for (let cut = 1; cut < 60; cut++) {
      const disk = new SimulatedDisk();
      const store = await withBoth(disk);
      await store.eraseNamespace('ritual');
      disk.cutAt(disk.steps + cut);
      await store.settled();
      const again = await SealedStore.open(options(disk.afterPowerCut('subset', cut)));
      expect(again.namespaces(), `cut ${cut}`).toEqual(['plain']);
      await expectPlainRecords(again);
      await again.close();
      if (!disk.operations.off) return;
    }
    expect.fail('the sweep had more steps than this test allows');
  }, 60_000);
});

describe('overwriting the key of an erased namespace on a full disk', () => {
  const KEYS = `${STORE_PATH}/keys-0000000001`;

  /** Erases while zeros cannot be written, and then gives room again. */
  async function halfErased(compaction: 'automatic' | 'manual', code = 'ENOSPC') {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk, { compaction }));
    await (await store.namespace('ritual', { erasable: true })).put('share', filledWith(7));
    disk.inject(({ kind, path }) => (kind === 'write' && path === KEYS ? { code } : undefined));
    const expected = { code: code === 'ENOSPC' ? 'STORE_DISK_FULL' : 'STORE_WRITE_FAILED' };
    await expect(store.eraseNamespace('ritual')).rejects.toMatchObject(expected);
    expect(store.hasNamespace('ritual')).toBe(false);
    // As long as it is not done, it is not said to be.
    await expect(store.eraseNamespace('ritual')).rejects.toMatchObject(expected);
    expect(isKeyGone(disk)).toBe(false);
    disk.inject(undefined);
    return { disk, store };
  }

  const isKeyGone = (disk: SimulatedDisk): boolean => fileOn(disk, KEYS).every((byte) => byte === 0);

  it('is tried again by the next call, which reports success', async () => {
    const { disk, store } = await halfErased('manual');
    expect(await store.eraseNamespace('ritual')).toBe(true);
    expect(isKeyGone(disk)).toBe(true);
    expect(await store.eraseNamespace('ritual')).toBe(false);
    await store.close();
  });

  it('is tried again by the sweep', async () => {
    const { disk, store } = await halfErased('automatic');
    await store.settled();
    expect(isKeyGone(disk)).toBe(true);
    await store.close();
  });

  it('is tried again by closing', async () => {
    const { disk, store } = await halfErased('manual');
    await store.close();
    expect(isKeyGone(disk)).toBe(true);
  });

  it('is tried again before the name is created again', async () => {
    const { disk, store } = await halfErased('manual');
    await store.namespace('ritual');
    expect(isKeyGone(disk)).toBe(true);
    await store.close();
  });

  it('stops all writes after another error, and the next opening destroys the key', async () => {
    const { disk, store } = await halfErased('manual', 'EIO');
    await expect(store.eraseNamespace('ritual')).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED' });
    await store.close();
    expect(isKeyGone(disk)).toBe(false);
    const again = await SealedStore.open(storeOptions(disk));
    expect(again.opening.destroyedKeys).toBe(1);
    expect(isKeyGone(disk)).toBe(true);
    await again.close();
  });
});

describe('a namespace erased while it is read', () => {
  it('ends a snapshot and a backup with a code, and the hint says to start again', async () => {
    const disk = new SimulatedDisk();
    const store = await withBoth(disk);
    const erased = { code: 'STORE_NAMESPACE_ERASED', hint: expect.any(String) as string };
    const snapshot = store.snapshot();
    const entries = snapshot.namespace('ritual').entries()[Symbol.asyncIterator]();
    await entries.next();
    const backup = store.backup(async () => void (await store.eraseNamespace('ritual')));
    await expect(backup).rejects.toMatchObject(erased);
    await expect(entries.next()).rejects.toMatchObject(erased);
    snapshot.release();
    let chunks = 0;
    expect(await store.backup(async () => void chunks++)).toMatchObject({ namespaces: 1, records: 64 });
    await store.close();
  });
});

describe('when erased namespaces are swept', () => {
  const segment = { erasedBytes: 1 };
  const namespaces = new NamespaceTable(1);
  // The timing asks for nothing else of a state; the sweep itself is tested above.
  const state = { log: { segments: [segment] }, active: segment, namespaces } as unknown as StoreState;

  it('they are swept once for all erasures of a second, and never after closing', async () => {
    const asked: number[] = [];
    let calledOff = 0;
    const compactor = new Compactor(state, (_task, milliseconds) => {
      asked.push(milliseconds);
      return () => void calledOff++;
    });
    for (let erased = 0; erased < 100; erased++) compactor.sweepSoon();
    expect(asked).toEqual([1000]);
    await compactor.stop();
    compactor.sweepSoon();
    expect([asked.length, calledOff]).toEqual([1, 1]);
  });

  it('no sweep runs when nothing was erased', () => {
    const compactor = new Compactor(
      { log: { segments: [{ erasedBytes: 0 }] }, namespaces } as unknown as StoreState,
      () => expect.fail('asked for a sweep'),
    );
    compactor.sweepSoon();
  });
});
