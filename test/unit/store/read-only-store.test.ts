import { describe, expect, it } from 'vitest';
import type { FileSystem } from '../../../src/disk/file-system.ts';
import { ReadOnlyStore } from '../../../src/store/read-only-store.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { systemError } from '../../support/disk-errors.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { filledDisk, STORE_PATH, storeKeyOf, storeOptions } from '../../support/store-on-disk.ts';

/** The disk as another process sees it, with its own way of opening files. */
const withOpen = (disk: SimulatedDisk, open: FileSystem['open']): FileSystem => ({
  open,
  rename: (from, to) => disk.rename(from, to),
  unlink: (path) => disk.unlink(path),
  mkdir: (path) => disk.mkdir(path),
  rmdir: (path) => disk.rmdir(path),
  list: (path) => disk.list(path),
  stat: (path) => disk.stat(path),
  syncDirectory: (path) => disk.syncDirectory(path),
});

/** A file system that is mounted read-only. */
const readOnly = (disk: SimulatedDisk): FileSystem =>
  withOpen(disk, (path, mode) => {
    if (mode !== 'read') throw systemError('EROFS', 'open', path);
    return disk.open(path, mode);
  });

describe('reading while another process has the store open', () => {
  it('works while that process constantly creates erasable namespaces', async () => {
    const disk = new SimulatedDisk();
    const content = await filledDisk(disk);
    const writer = await SealedStore.open(storeOptions(disk));
    let made = 0;
    const busy = withOpen(disk, async (path, mode) => {
      const handle = await disk.open(path, mode);
      if (path.includes('/keys-')) {
        const space = await writer.namespace(`made-${made++}`, { erasable: true });
        await space.put('a', Uint8Array.of(1));
      }
      return handle;
    });
    const reader = await ReadOnlyStore.open(busy, STORE_PATH, storeKeyOf(7));
    const sizes = reader.namespaces().map((name) => reader.namespace(name)?.size ?? 0);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(content.size);
    await reader.close();
    await writer.close();
  });

  it('works while that process constantly compacts', async () => {
    const disk = new SimulatedDisk();
    const content = await filledDisk(disk);
    const writer = await SealedStore.open(storeOptions(disk));
    const busy = withOpen(disk, async (path, mode) => {
      const handle = await disk.open(path, mode);
      if (path.includes('/keys-')) await writer.compact();
      return handle;
    });
    const reader = await ReadOnlyStore.open(busy, STORE_PATH, storeKeyOf(7));
    const report = await reader.backup(async () => undefined);
    expect(report.records).toBe(content.size);
    await reader.close();
    await writer.close();
    expect(disk.operations.openHandles).toBe(0);
  });
});

describe('a read-only file system', () => {
  it('allows reading and checking, and a repair plan lists the records that a repair would lose', async () => {
    const disk = new SimulatedDisk();
    const content = await filledDisk(disk);
    const fileSystem = readOnly(disk);
    const reader = await ReadOnlyStore.open(fileSystem, STORE_PATH, storeKeyOf(7));
    expect(await reader.namespace('plain-space')?.get('first-0')).toEqual(new Uint8Array(40).fill(1));
    await reader.close();
    const options = { ...storeOptions(disk), fileSystem };
    expect(await SealedStore.check(options)).toMatchObject({ isSound: true, records: content.size });
    const plan = await SealedStore.planRepair(options);
    expect(plan).toMatchObject({ losses: [], records: content.size });
    await plan.discard();
    expect(disk.operations.openHandles).toBe(0);
  });

  it('is reported when the store is opened for writing', async () => {
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const options = { ...storeOptions(disk), fileSystem: readOnly(disk) };
    await expect(SealedStore.open(options)).rejects.toMatchObject({ code: 'STORE_DISK_READ_ONLY' });
    expect(disk.operations.openHandles).toBe(0);
  });
});
