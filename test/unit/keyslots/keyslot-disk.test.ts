import { mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { nodeFileSystem } from '../../../src/disk/node-file-system.ts';
import { addGeneration } from '../../../src/keyslots/generations.ts';
import { encodeKeyslotFile, MAX_KEYSLOT_FILE_BYTES } from '../../../src/keyslots/keyslot-codec.ts';
import { KeyslotDisk } from '../../../src/keyslots/keyslot-disk.ts';
import type { KeyslotFile } from '../../../src/keyslots/keyslot-file.ts';
import { survivals } from '../../support/disk-survival.ts';
import { enrol, fileOf, identity } from '../../support/keyslot-fixtures.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';

const path = '/node/keyslots.json';
const first = await enrol({ t: 2, n: 3 });
const second = await enrol({ t: 2, n: 3 }, { storeKey: first.storeKey, generation: 2 });
const before = fileOf(first);
const after = addGeneration(before, second.generation).file;
const textOf = (file: KeyslotFile): string => new TextDecoder().decode(encodeKeyslotFile(file));

async function diskWith(file: KeyslotFile | undefined): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  await disk.mkdir('/node');
  await disk.syncDirectory('/');
  if (file !== undefined) await new KeyslotDisk(disk, path).replace(file);
  return disk;
}

const code = (name: string) => expect.objectContaining({ code: name });

describe('keyslot file on a disk', () => {
  it('is read as it was written', async () => {
    const disk = new KeyslotDisk(await diskWith(before), path);
    expect(await disk.exists()).toBe(true);
    expect(textOf(await disk.read(identity))).toBe(textOf(before));
  });

  it('reports that it is missing, or belongs to another store or account', async () => {
    const empty = new KeyslotDisk(await diskWith(undefined), path);
    expect(await empty.exists()).toBe(false);
    await expect(empty.read()).rejects.toThrow(code('KEYSLOT_FILE_MISSING'));
    const disk = new KeyslotDisk(await diskWith(before), path);
    const foreign = code('KEYSLOT_FILE_FOREIGN');
    await expect(disk.read({ account: AccountId.of(new Uint8Array(32)) })).rejects.toThrow(foreign);
    await expect(disk.read({ storeId: new Uint8Array(16) })).rejects.toThrow(foreign);
  });

  it('a power cut at any step leaves the complete former file or the complete new file', async () => {
    const steps = await stepsOf(before, after);
    for (let step = 1; step <= steps; step++) {
      for (const survival of survivals) {
        const disk = await diskWith(before);
        disk.cutAt(disk.steps + step);
        await expect(new KeyslotDisk(disk, path).replace(after)).rejects.toThrow(
          code('KEYSLOT_WRITE_FAILED'),
        );
        const rebooted = disk.afterPowerCut(survival, step);
        const found = textOf(await new KeyslotDisk(rebooted, path).read());
        expect([textOf(before), textOf(after)], `cut before step ${step}`).toContain(found);
        // The leftover file neither counts nor causes a failure.
        await new KeyslotDisk(rebooted, path).replace(after);
        const settled = rebooted.afterPowerCut('lost');
        expect(textOf(await new KeyslotDisk(settled, path).read())).toBe(textOf(after));
        expect([...settled.files().keys()]).toEqual([path]);
      }
    }
  });

  it('an acknowledged file survives a power cut that keeps only synced data', async () => {
    const disk = await diskWith(before);
    await new KeyslotDisk(disk, path).replace(after);
    expect(textOf(await new KeyslotDisk(disk.afterPowerCut('lost'), path).read())).toBe(textOf(after));
  });

  it('a failing disk is reported, and the former file or the new file stays valid', async () => {
    for (const kind of ['create', 'write', 'sync', 'rename', 'syncDirectory'] as const) {
      const disk = await diskWith(before);
      const slots = new KeyslotDisk(disk, path);
      disk.inject((operation) => (operation.kind === kind ? { code: 'EIO' } : undefined));
      await expect(slots.replace(after), kind).rejects.toThrow(code('KEYSLOT_WRITE_FAILED'));
      disk.inject(undefined);
      expect([textOf(before), textOf(after)]).toContain(textOf(await slots.read()));
      await slots.replace(after);
      expect(textOf(await slots.read())).toBe(textOf(after));
      expect(disk.operations.openHandles).toBe(0);
    }
  });

  it('a full disk loses no data', async () => {
    const disk = await diskWith(before);
    disk.setCapacity(encodeKeyslotFile(before).length + 10);
    const slots = new KeyslotDisk(disk, path);
    await expect(slots.replace(after)).rejects.toThrow(code('KEYSLOT_WRITE_FAILED'));
    expect(textOf(await slots.read())).toBe(textOf(before));
  });

  it('replacements are queued: the last requested one stays', async () => {
    const disk = await diskWith(undefined);
    const slots = new KeyslotDisk(disk, path);
    await Promise.all([
      slots.replace(before),
      slots.replace(after),
      slots.replace(before),
      slots.replace(after),
    ]);
    expect(textOf(await slots.read())).toBe(textOf(after));
  });

  it('a failed replacement does not block the next', async () => {
    const disk = await diskWith(before);
    const slots = new KeyslotDisk(disk, path);
    let failures = 1;
    disk.inject(({ kind }) => (kind === 'write' && failures-- > 0 ? { code: 'EIO' } : undefined));
    const [failed, done] = await Promise.allSettled([slots.replace(before), slots.replace(after)]);
    expect([failed.status, done.status]).toEqual(['rejected', 'fulfilled']);
    expect(textOf(await slots.read())).toBe(textOf(after));
  });

  it('a temporary file that cannot be made is not tried again', async () => {
    const disk = await diskWith(before);
    disk.inject(({ kind }) => (kind === 'rename' ? { code: 'EIO' } : undefined));
    await expect(new KeyslotDisk(disk, path).replace(after)).rejects.toThrow(code('KEYSLOT_WRITE_FAILED'));
    // Now one is there, which a second attempt would take away.
    let failures = 1;
    disk.inject(({ kind }) => (kind === 'create' && failures-- > 0 ? { code: 'EIO' } : undefined));
    await expect(new KeyslotDisk(disk, path).replace(after)).rejects.toThrow(code('KEYSLOT_WRITE_FAILED'));
    expect(textOf(await new KeyslotDisk(disk, path).read())).toBe(textOf(before));
  });

  it('a disk that cannot be read is reported', async () => {
    const disk = await diskWith(before);
    const slots = new KeyslotDisk(disk, path);
    for (const kind of ['stat', 'open', 'read'] as const) {
      disk.inject((operation) => (operation.kind === kind ? { code: 'EIO' } : undefined));
      await expect(slots.read(), kind).rejects.toThrow(code('KEYSLOT_READ_FAILED'));
    }
    disk.inject(undefined);
    expect(disk.operations.openHandles).toBe(0);
  });

  it('a folder in its place, and a file above the size limit, are refused', async () => {
    const folder = await diskWith(undefined);
    await folder.mkdir(path);
    await expect(new KeyslotDisk(folder, path).read()).rejects.toThrow(code('KEYSLOT_FILE_MALFORMED'));
    const disk = await diskWith(before);
    for (const size of [0, MAX_KEYSLOT_FILE_BYTES, MAX_KEYSLOT_FILE_BYTES + 1, 4 * MAX_KEYSLOT_FILE_BYTES]) {
      disk.tamper(path, new Uint8Array(size).fill(0x20));
      await expect(new KeyslotDisk(disk, path).read()).rejects.toThrow(code('KEYSLOT_FILE_MALFORMED'));
    }
  });

  it('on the real disk: not readable by other users, and a planted link is not followed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-keyslots-'));
    try {
      const file = join(folder, 'keyslots.json');
      const victim = join(folder, 'victim');
      await writeFile(victim, 'untouched');
      await symlink(victim, `${file}.new`);
      const slots = new KeyslotDisk(nodeFileSystem, file);
      await slots.replace(before);
      await slots.replace(after);
      expect(textOf(await slots.read(identity))).toBe(textOf(after));
      expect((await stat(victim)).size).toBe(utf8('untouched').length);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect((await readdir(folder)).sort()).toEqual(['keyslots.json', 'victim']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** How many steps one replacement takes. */
async function stepsOf(from: KeyslotFile, to: KeyslotFile): Promise<number> {
  const disk = await diskWith(from);
  const start = disk.steps;
  await new KeyslotDisk(disk, path).replace(to);
  return disk.steps - start;
}
