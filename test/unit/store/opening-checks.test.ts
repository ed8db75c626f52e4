import { describe, expect, it } from 'vitest';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { containing } from '../../support/head-judge.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { fileOn, STORE_PATH, segmentPaths, storeOptions } from '../../support/store-on-disk.ts';

const bytes = (byte: number) => new Uint8Array(40).fill(byte);

describe('opening after a process was killed', () => {
  it('makes all visible records durable, including a last frame that was never synced', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    const space = await store.namespace('n');
    disk.inject(({ kind, path }) =>
      kind === 'sync' && path.includes('segment-') ? { code: 'EIO' } : undefined,
    );
    await expect(space.put('late', bytes(1))).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED' });
    // The process ends here; the frame is in the page cache.
    const killed = disk.afterKill();
    const again = await SealedStore.open(storeOptions(killed));
    expect(await (await again.namespace('n')).get('late')).toEqual(bytes(1));
    const cut = await SealedStore.open(storeOptions(killed.afterPowerCut('lost', 1)));
    expect(await (await cut.namespace('n')).get('late')).toEqual(bytes(1));
  });

  it('makes a renamed manifest durable before it writes into the new segment of this manifest', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk, { segmentBytes: 300 }));
    const space = await store.namespace('n');
    for (const name of ['a', 'b', 'c']) await space.put(name, bytes(1));
    let isRenamed = false;
    disk.inject(({ kind, path }) => {
      if (kind === 'rename') isRenamed = true;
      return isRenamed && kind === 'syncDirectory' && path === STORE_PATH ? { code: 'EIO' } : undefined;
    });
    const writes = ['d', 'e', 'f', 'g'].map((name) =>
      space.put(name, bytes(2)).catch((error: unknown) => error),
    );
    expect(await Promise.all(writes)).toContainEqual(expect.objectContaining({ code: 'STORE_WRITE_FAILED' }));
    expect(isRenamed).toBe(true);
    const killed = disk.afterKill();
    const again = await SealedStore.open(storeOptions(killed));
    await (await again.namespace('n')).put('acknowledged', bytes(3));
    const cut = await SealedStore.open(storeOptions(killed.afterPowerCut('lost', 1)));
    expect(await (await cut.namespace('n')).get('acknowledged')).toEqual(bytes(3));
  });

  it('destroys the key of a namespace that was not completely created', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    disk.inject(({ kind, path }) =>
      kind === 'write' && path.includes('segment-') ? { code: 'EIO' } : undefined,
    );
    await expect(store.namespace('secret', { erasable: true })).rejects.toMatchObject({
      code: 'STORE_WRITE_FAILED',
    });
    disk.inject(undefined);
    const killed = disk.afterKill();
    const keys = `${STORE_PATH}/keys-0000000001`;
    expect(fileOn(killed, keys).some((byte) => byte !== 0)).toBe(true);
    const again = await SealedStore.open(storeOptions(killed));
    expect(again.opening.destroyedKeys).toBe(1);
    expect(fileOn(killed, keys).every((byte) => byte === 0)).toBe(true);
    await again.close();
  });
});

describe('a deposited head', () => {
  it('of a later generation refuses a log that compaction has rewritten', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    const space = await store.namespace('n');
    for (let index = 0; index < 5; index += 1) await space.put('same', bytes(index));
    const early = { generation: store.head().generation, sequence: 2, digest: bytes(9).subarray(0, 32) };
    await store.compact();
    await space.put('after', bytes(1));
    await store.close();
    const open = (head: typeof early) => SealedStore.open({ ...storeOptions(disk), admit: containing(head) });
    await (await open(early)).close();
    await expect(open({ ...early, generation: early.generation + 1 })).rejects.toMatchObject({
      code: 'STORE_ROLLED_BACK',
    });
    await expect(open({ ...early, sequence: 1000 })).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' });
  });
});

describe('the durable mark of the manifest', () => {
  it('in the middle of a log refuses the longer log of another history', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    await (await store.namespace('n')).put('common', bytes(1));
    await store.close();
    const other = disk.clone();
    for (const [each, byte, names] of [
      [disk, 10, ['a', 'b']],
      [other, 20, ['a', 'b', 'c', 'd']],
    ] as const) {
      const opened = await SealedStore.open(storeOptions(each));
      const space = await opened.namespace('n');
      for (const name of names) await space.put(name, bytes(byte));
      await opened.close();
    }
    const [path = ''] = segmentPaths(disk);
    disk.tamper(path, fileOn(other, path));
    await expect(SealedStore.open(storeOptions(disk))).rejects.toMatchObject({
      code: 'STORE_RECORD_MISPLACED',
    });
  });
});

describe('bytes in the last segment that are not a frame', () => {
  /** A log that was never closed: only its first frames are below the durable mark of the manifest. */
  async function unclosed() {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    const space = await store.namespace('n');
    for (const name of ['a', 'b', 'c']) await space.put(name, bytes(1));
    const trial = disk.clone();
    const [path = ''] = segmentPaths(trial);
    return { trial, path, log: Buffer.from(fileOn(trial, path)) };
  }

  it('are a torn tail when the next frame does not show that they were durable', async () => {
    const { trial, path, log } = await unclosed();
    const firstFrame = log.subarray(128, 128 + 72 + log.readUInt32BE(128 + 12) + 32);
    trial.tamper(path, Buffer.concat([log, Buffer.alloc(50, 0xee), firstFrame]));
    const store = await SealedStore.open(storeOptions(trial));
    expect(store.opening.tornBytes).toBe(50 + firstFrame.length);
    expect([...(await store.namespace('n')).names()]).toEqual(['a', 'b', 'c']);
    await store.close();
  });

  it('are refused as another store’s when only the store mark was altered in durable bytes', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    await (await store.namespace('n')).put('a', bytes(1));
    await store.close();
    const [path = ''] = segmentPaths(disk);
    const log = fileOn(disk, path);
    disk.tamper(path, log.with(128 + 4, (log[128 + 4] ?? 0) ^ 1));
    await expect(SealedStore.open(storeOptions(disk))).rejects.toMatchObject({
      code: 'STORE_RECORD_FOREIGN',
    });
  });

  it('are damage when the header of a segment was altered without its MAC', async () => {
    const disk = new SimulatedDisk();
    await (await SealedStore.create(storeOptions(disk))).close();
    const [path = ''] = segmentPaths(disk);
    const log = fileOn(disk, path);
    // The salt is part of no other check.
    disk.tamper(path, log.with(50, (log[50] ?? 0) ^ 1));
    await expect(SealedStore.open(storeOptions(disk))).rejects.toMatchObject({
      code: 'STORE_SEGMENT_DAMAGED',
    });
  });
});
