import { describe, expect, it, vi } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { isCheckpointDue, writeCheckpoint } from '../../../src/store/maintain/checkpoint-writer.ts';
import { Compactor } from '../../../src/store/maintain/compactor.ts';
import { rotateStoreKey } from '../../../src/store/maintain/rotation.ts';
import { readStore } from '../../../src/store/open/recovery.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { sourceOf } from '../../../src/store/store-options.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { storeKeyOf, storeOptions } from '../../support/store-on-disk.ts';

const checkpointsOn = (disk: SimulatedDisk): string[] =>
  [...disk.files().keys()].filter((path) => path.includes('/checkpoint-'));

/** An open store as its parts see it, with a checkpoint that is written and not listed yet. */
async function written() {
  const disk = new SimulatedDisk();
  const options = storeOptions(disk, { segmentBytes: 1500 });
  const store = await SealedStore.create(options);
  const space = await store.namespace('n');
  for (let index = 0; index < 12; index += 1)
    await space.put(`name-${index}`, new Uint8Array(200).fill(index));
  await store.close();
  const source = { ...sourceOf(options, 'read-write'), storeKey: storeKeyOf(7) };
  const { state } = await readStore(source, undefined);
  return { disk, options, state, fresh: await writeCheckpoint(state) };
}

describe('a checkpoint that was written while', () => {
  it('nothing else happened is listed', async () => {
    const { disk, state, fresh, options } = await written();
    await state.listCheckpoint(fresh);
    expect(state.checkpoint).toBe(fresh);
    await state.close();
    expect((await SealedStore.open(options)).opening.checkpoint).toBe('used');
    expect(checkpointsOn(disk)).toHaveLength(1);
  });

  it('the store key changed is not listed, and leaves no file under the old key', async () => {
    const { disk, state, fresh } = await written();
    await rotateStoreKey(state, new SecretBytes(new Uint8Array(32).fill(8)), undefined);
    await state.listCheckpoint(fresh);
    await state.log.drops;
    expect(state.checkpoint).toBeUndefined();
    expect(checkpointsOn(disk)).toEqual([]);
    await state.close();
  });

  it('its records were compacted away is not listed, and its file goes', async () => {
    const { disk, state, fresh, options } = await written();
    await new Compactor(state).compactAll();
    await state.listCheckpoint(fresh);
    await state.log.drops;
    expect(state.checkpoint).toBeUndefined();
    expect(checkpointsOn(disk)).toEqual([]);
    await state.close();
    expect((await (await SealedStore.open(options)).namespace('n')).size).toBe(12);
  });

  it('a full disk takes no manifest is removed, and the store goes on', async () => {
    const { disk, state, fresh } = await written();
    disk.inject(({ kind }) => (kind === 'create' ? { code: 'ENOSPC' } : undefined));
    await expect(state.listCheckpoint(fresh)).rejects.toMatchObject({ code: 'STORE_DISK_FULL' });
    disk.inject(undefined);
    await state.log.drops;
    expect(checkpointsOn(disk)).toEqual([]);
    await state.close();
  });
});

describe('a checkpoint of a position that the log does not go through', () => {
  // No disk can bring this about: it would be a defect of the writer, and the names of other records.
  it.each(['digest', 'nextOrdinal', 'length'] as const)('by another %s, is refused', async (what) => {
    const { state, options } = await written();
    const { active } = state;
    const real = { digest: active.digest, nextOrdinal: active.nextOrdinal, length: active.length };
    if (what === 'digest') active.digest = new Uint8Array(32).fill(1);
    else active[what] -= 1;
    const wrong = await writeCheckpoint(state);
    Object.assign(active, real);
    await state.listCheckpoint(wrong);
    await state.close();
    await expect(SealedStore.open(options)).rejects.toMatchObject({ code: 'STORE_RECORD_MISPLACED' });
    // A check reads the log alone.
    expect(await SealedStore.check(options)).toMatchObject({ isSound: true, records: 12 });
  });
});

describe('a folder in which there is another store now', () => {
  it('keeps the checkpoint of that store', async () => {
    const { disk, state, fresh } = await written();
    const { number } = fresh.reference;
    const moved = Object.create(state, {
      lock: { value: { isInPlace: async () => false, release: async () => undefined } },
      lastCheckpointNumber: { value: number - 1, writable: true },
    });
    await expect(writeCheckpoint(moved)).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED' });
    expect(checkpointsOn(disk)).toHaveLength(1);
    await state.close();
  });
});

describe('a store that takes no writes any more', () => {
  async function poisoned() {
    const { disk, state, fresh } = await written();
    await state.listCheckpoint(fresh);
    state.log.bytesSinceCheckpoint = Number.MAX_SAFE_INTEGER;
    expect(isCheckpointDue(state)).toBe(true);
    const tasks: (() => void)[] = [];
    const compactor = new Compactor(state, (task) => {
      tasks.push(task);
      return () => undefined;
    });
    const created: string[] = [];
    disk.inject(({ kind, path }) => {
      if (kind === 'create' && path.includes('/checkpoint-')) created.push(path);
      return undefined;
    });
    const attempts = async () => {
      compactor.wake();
      await compactor.settled();
      for (let turn = 0; turn < 3; turn += 1) {
        tasks.at(-1)?.();
        await compactor.settled();
      }
    };
    return { disk, state, created, attempts };
  }

  it('leaves no checkpoint on the disk that was written meanwhile', async () => {
    const { disk, state, created, attempts } = await poisoned();
    vi.spyOn(state.commit, 'exclusively').mockRejectedValue(new Error('a group was not synced'));
    const before = checkpointsOn(disk);
    await attempts();
    expect(created.length).toBeGreaterThan(1);
    expect(checkpointsOn(disk)).toEqual(before);
    await state.close();
  });

  it('writes none', async () => {
    const { state, created, attempts } = await poisoned();
    vi.spyOn(state.commit, 'failure', 'get').mockReturnValue(new Error('a group was not synced') as never);
    await attempts();
    expect(created).toEqual([]);
    await state.close();
  });
});

describe('how often a checkpoint is written', () => {
  it('is bounded by its size: the log grows by four times as much, or by the minimum', async () => {
    const { state, fresh } = await written();
    await state.listCheckpoint(fresh);
    const due = (bytesSinceCheckpoint: number, lastCheckpointBytes: number, checkpointBytes: number) =>
      isCheckpointDue({
        ...{ log: Object.assign(Object.create(state.log), { bytesSinceCheckpoint }) },
        ...{ tuning: { ...state.tuning, checkpointBytes }, lastCheckpointBytes },
      } as never);
    expect(due(3999, 1000, 100)).toBe(false);
    expect(due(4000, 1000, 100)).toBe(true);
    expect(due(99, 0, 100)).toBe(false);
    expect(due(100, 0, 100)).toBe(true);
    expect(due(0, 1000, 0)).toBe(false);
    expect(due(1, 1000, 0)).toBe(true);
    expect(due(Number.MAX_SAFE_INTEGER, 1000, Number.POSITIVE_INFINITY)).toBe(false);
    await state.close();
  });

  it('does not grow with the square of the store: all checkpoints of a growing store are smaller than its log', async () => {
    const disk = new SimulatedDisk();
    let checkpointBytes = 0;
    const open = disk.open.bind(disk);
    disk.open = async (path, mode) => {
      const handle = await open(path, mode);
      if (!path.includes('/checkpoint-')) return handle;
      const write = handle.write.bind(handle);
      handle.write = (parts, position) => {
        for (const part of parts) checkpointBytes += part.length;
        return write(parts, position);
      };
      return handle;
    };
    const options = storeOptions(disk, {
      segmentBytes: 4096,
      checkpointBytes: 4096,
      compaction: 'automatic',
    });
    const store = await SealedStore.create(options);
    const space = await store.namespace('n');
    for (let index = 0; index < 1500; index += 1) {
      await space.put(`name-${index}`, new Uint8Array(32));
      if (index % 20 === 0) await store.settled();
    }
    const { diskBytes } = store.stat();
    expect(checkpointBytes).toBeGreaterThan(0);
    expect(checkpointBytes).toBeLessThan(diskBytes / 2);
    await store.close();
  });
});
