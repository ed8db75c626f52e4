import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import type { FileHandle } from '../../../src/disk/file-system.ts';
import { seededDice } from '../../support/disk-dice.ts';
import { survivals } from '../../support/disk-survival.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';

const text = (disk: SimulatedDisk, path: string): string | undefined => {
  const bytes = disk.files().get(path);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
};

async function diskWith(content: string): Promise<{ disk: SimulatedDisk; file: FileHandle }> {
  const disk = new SimulatedDisk();
  await disk.mkdir('/d');
  await disk.syncDirectory('/');
  const file = await disk.open('/d/a', 'create');
  await file.write([utf8(content)], 0);
  await file.sync();
  await disk.syncDirectory('/d');
  return { disk, file };
}

describe('simulated disk: what survives a power cut', () => {
  it('synced bytes survive in every mode', async () => {
    const { disk } = await diskWith('durable');
    for (const survival of survivals) expect(text(disk.afterPowerCut(survival), '/d/a')).toBe('durable');
  });

  it('unsynced bytes are lost, kept, or kept as a prefix', async () => {
    const { disk, file } = await diskWith('old');
    await file.write([utf8('-new'), utf8('er')], 3);
    expect(text(disk, '/d/a')).toBe('old-newer');
    expect(text(disk.afterPowerCut('lost'), '/d/a')).toBe('old');
    expect(text(disk.afterPowerCut('kept'), '/d/a')).toBe('old-newer');
    const seen = new Set<string>();
    for (let seed = 0; seed < 60; seed++) seen.add(text(disk.afterPowerCut('prefix', seed), '/d/a') ?? '');
    for (const left of seen) expect('old-newer'.startsWith(left) && left.length >= 3).toBe(true);
    expect(seen.size).toBeGreaterThan(4);
  });

  it('unsynced sectors are reordered: a later one without an earlier one leaves zeros between', async () => {
    const { disk, file } = await diskWith('');
    await file.write([new Uint8Array(2048).fill(7)], 0);
    const holes = Array.from({ length: 40 }, (_, seed) =>
      disk.afterPowerCut('subset', seed).files().get('/d/a'),
    );
    expect(holes.some((bytes) => bytes !== undefined && bytes.length === 2048 && bytes[0] === 0)).toBe(true);
    const junk = Array.from({ length: 40 }, (_, seed) =>
      disk.afterPowerCut('scrambled', seed).files().get('/d/a'),
    );
    expect(junk.some((bytes) => bytes?.some((byte) => byte !== 7 && byte !== 0))).toBe(true);
  });

  it('a sync covers writes from before its start, not writes during the sync', async () => {
    const { disk, file } = await diskWith('');
    await file.write([utf8('one')], 0);
    const syncing = file.sync();
    const writing = file.write([utf8('two')], 3);
    await Promise.all([syncing, writing]);
    expect(text(disk.afterPowerCut('lost'), '/d/a')).toBe('one');
  });

  it('creation, rename and removal are undone unless the folder was synced', async () => {
    const { disk } = await diskWith('first');
    const other = await disk.open('/d/b', 'create');
    await other.write([utf8('second')], 0);
    await other.sync();
    expect(disk.afterPowerCut('lost').files().has('/d/b')).toBe(false);
    await disk.rename('/d/b', '/d/a');
    expect(text(disk, '/d/a')).toBe('second');
    expect(text(disk.afterPowerCut('lost'), '/d/a')).toBe('first');
    await disk.syncDirectory('/d');
    expect(text(disk.afterPowerCut('lost'), '/d/a')).toBe('second');
    await disk.unlink('/d/a');
    expect(text(disk.afterPowerCut('lost'), '/d/a')).toBe('second');
    expect(disk.afterPowerCut('kept').files().size).toBe(0);
  });

  it('a truncation is undone unless synced', async () => {
    const { disk, file } = await diskWith('0123456789');
    await file.truncate(4);
    expect(text(disk, '/d/a')).toBe('0123');
    expect(text(disk.afterPowerCut('lost'), '/d/a')).toBe('0123456789');
    await file.sync();
    expect(text(disk.afterPowerCut('lost'), '/d/a')).toBe('0123');
    await file.write([utf8('x')], 6);
    expect(text(disk, '/d/a')).toBe('0123\0\0x');
  });

  it('the same seed leaves the same disk', async () => {
    const { disk, file } = await diskWith('');
    await file.write([seededDice(9).bytes(5000)], 0);
    expect(disk.afterPowerCut('scrambled', 3).files()).toEqual(disk.afterPowerCut('scrambled', 3).files());
  });
});

describe('simulated disk: failures', () => {
  it('counts only operations that change the disk, and cuts the power before the chosen step', async () => {
    const { disk, file } = await diskWith('x');
    const before = disk.steps;
    await disk.list('/d');
    await disk.stat('/d/a');
    expect(file.readSync(new Uint8Array(1), 0)).toBe(1);
    expect(disk.steps).toBe(before);
    disk.cutAt(before + 2);
    await file.write([utf8('y')], 0);
    await expect(file.write([utf8('z')], 0)).rejects.toMatchObject({ code: 'EIO' });
    await expect(disk.list('/d')).rejects.toMatchObject({ code: 'EIO' });
    expect(() => file.readSync(new Uint8Array(1), 0)).toThrow();
    expect(text(disk.afterPowerCut('kept'), '/d/a')).toBe('y');
  });

  it('a failing sync may drop unsynced bytes, and the next sync succeeds without them', async () => {
    const { disk, file } = await diskWith('old');
    await file.write([utf8('new')], 0);
    disk.inject(({ kind }) => (kind === 'sync' ? { code: 'EIO', dropsDirty: true } : undefined));
    await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' });
    disk.inject(undefined);
    await file.sync();
    expect(text(disk, '/d/a')).toBe('new');
    expect(text(disk.afterPowerCut('kept'), '/d/a')).toBe('old');
  });

  it('a full disk writes the bytes that fit, and gives ENOSPC', async () => {
    const { disk, file } = await diskWith('12345');
    disk.setCapacity(8);
    await expect(file.write([utf8('67890')], 5)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(text(disk, '/d/a')).toBe('12345678');
    await file.write(
      [utf8('overwrite')].map((bytes) => bytes.subarray(0, 8)),
      0,
    );
    expect(text(disk, '/d/a')).toBe('overwrit');
  });

  it('a planned short write leaves the planned number of bytes', async () => {
    const { disk, file } = await diskWith('');
    disk.inject(({ kind }) => (kind === 'write' ? { code: 'EIO', writtenBytes: 2 } : undefined));
    await expect(file.write([utf8('abc')], 0)).rejects.toMatchObject({ code: 'EIO' });
    expect(text(disk, '/d/a')).toBe('ab');
  });

  it('a write uses the content of the buffer at its end', async () => {
    const { disk, file } = await diskWith('');
    const buffer = utf8('good');
    const writing = file.write([buffer], 0);
    buffer.fill(0x21);
    await writing;
    expect(text(disk, '/d/a')).toBe('!!!!');
  });

  it.each([
    ['open of nothing', (disk: SimulatedDisk) => disk.open('/d/none', 'read'), 'ENOENT'],
    ['create over a file', (disk: SimulatedDisk) => disk.open('/d/a', 'create'), 'EEXIST'],
    ['open of a folder', (disk: SimulatedDisk) => disk.open('/d', 'read'), 'EISDIR'],
    ['a file as a folder', (disk: SimulatedDisk) => disk.list('/d/a'), 'ENOTDIR'],
    ['mkdir twice', (disk: SimulatedDisk) => disk.mkdir('/d'), 'EEXIST'],
    ['rmdir of a full folder', (disk: SimulatedDisk) => disk.rmdir('/d'), 'ENOTEMPTY'],
    ['unlink of nothing', (disk: SimulatedDisk) => disk.unlink('/d/none'), 'ENOENT'],
    ['rename of nothing', (disk: SimulatedDisk) => disk.rename('/d/none', '/d/b'), 'ENOENT'],
  ])('%s has the form of an error of node:fs', async (_name, act, code) => {
    const { disk } = await diskWith('x');
    await expect(act(disk)).rejects.toMatchObject({ code });
  });

  it('a lock belongs to one process until it is released or the power is cut', async () => {
    const { disk } = await diskWith('x');
    const lock = await disk.lock('/d');
    expect(await disk.lock('/d')).toMatchObject({ owner: expect.any(String) });
    expect(await disk.afterPowerCut('lost').lock('/d')).toHaveProperty('release');
    if ('release' in lock) await lock.release();
    expect(await disk.lock('/d')).toHaveProperty('release');
  });

  it('a closed or read-only handle gives EBADF', async () => {
    const { disk, file } = await diskWith('x');
    await file.close();
    await expect(file.sync()).rejects.toMatchObject({ code: 'EBADF' });
    const reader = await disk.open('/d/a', 'read');
    await expect(reader.write([utf8('y')], 0)).rejects.toMatchObject({ code: 'EBADF' });
  });
});
