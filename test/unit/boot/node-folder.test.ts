import { describe, expect, it } from 'vitest';
import { NodeFolder } from '../../../src/boot/node/node-folder.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { KeyslotDisk } from '../../../src/keyslots/keyslot-disk.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { survivals } from '../../support/disk-survival.ts';
import { enrol, fileOf } from '../../support/keyslot-fixtures.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';

const keyslots = fileOf(await enrol({ t: 2, n: 3 }));
const storeKey = () => new SecretBytes(new Uint8Array(32).fill(3));
const folderOf = (disk: SimulatedDisk) => new NodeFolder(disk, '/data');

/** What a first boot does to the disk. */
async function firstBoot(disk: SimulatedDisk): Promise<void> {
  const folder = folderOf(disk);
  await folder.begin();
  const path = NodeFolder.storePath(folder.newPath);
  const store = await SealedStore.create({ fileSystem: disk, path, storeKey: storeKey() });
  const values = await store.namespace('identity');
  await values.put('seed', new Uint8Array(32).fill(5));
  await new KeyslotDisk(disk, NodeFolder.keyslotsPath(folder.newPath)).replace(keyslots);
  await store.close();
  await folder.finish();
}

/** A node that is in place is whole. */
async function expectWhole(disk: SimulatedDisk): Promise<void> {
  const folder = folderOf(disk);
  await new KeyslotDisk(disk, NodeFolder.keyslotsPath(folder.path)).read();
  const path = NodeFolder.storePath(folder.path);
  const store = await SealedStore.open({ fileSystem: disk, path, storeKey: storeKey() });
  expect(await (await store.namespace('identity')).get('seed')).toEqual(new Uint8Array(32).fill(5));
  await store.close();
}

describe('the folder of a node', () => {
  it.each([
    ['EXDEV', (folder: NodeFolder) => folder.finishStore()],
    ['EBUSY', (folder: NodeFolder) => folder.setAside('abandoned-1')],
  ] as const)(
    'is refused when it is a mount point (%s), and no unfinished file is left',
    async (code, move) => {
      const disk = new SimulatedDisk();
      for (const path of ['/data', '/data/node', '/data/node.new', '/data/node.new/store'])
        await disk.mkdir(path);
      disk.rename = async () => {
        throw Object.assign(new Error(code), { code });
      };
      await expect(move(folderOf(disk))).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        field: 'node.dataFolder',
      });
      expect(await disk.stat('/data/node')).toBeDefined();
      if (code === 'EXDEV') expect(await disk.stat('/data/node.new')).toBeUndefined();
    },
  );

  it('is complete or missing after a power cut at any moment', async () => {
    const whole = new SimulatedDisk();
    await firstBoot(whole);
    const steps = whole.steps;
    for (let cut = 1; cut <= steps; cut++) {
      for (const survival of survivals) {
        const disk = new SimulatedDisk();
        disk.cutAt(cut);
        await expect(firstBoot(disk)).rejects.toThrow();
        const after = disk.afterPowerCut(survival, cut);
        const found = await folderOf(after).look();
        expect(['fresh', 'enrolled'], `cut at ${cut}, ${survival}`).toContain(found);
        if (found === 'enrolled') await expectWhole(after);
        else {
          await firstBoot(after);
          await expectWhole(after);
        }
      }
    }
  });

  it('survives a power cut once it is in place, although it made its own data folder', async () => {
    for (const survival of survivals) {
      const disk = new SimulatedDisk();
      await firstBoot(disk);
      const after = disk.afterPowerCut(survival, 1);
      expect(await folderOf(after).look()).toBe('enrolled');
      await expectWhole(after);
    }
  });

  it('replaces the unfinished node.new of an earlier start', async () => {
    const disk = new SimulatedDisk();
    await folderOf(disk).begin();
    await disk.mkdir('/data/node.new/store');
    await (await disk.open('/data/node.new/store/junk', 'create')).close();
    await firstBoot(disk);
    await expectWhole(disk);
    expect([...disk.files().keys()].some((path) => path.includes('junk'))).toBe(false);
  });

  it('distinguishes a node without keyslot file from a missing node', async () => {
    const disk = new SimulatedDisk();
    await firstBoot(disk);
    disk.tamper('/data/node/keyslots', undefined);
    expect(await folderOf(disk).look()).toBe('without-keyslots');
  });

  it('never replaces an existing node at the end of the creation', async () => {
    const disk = new SimulatedDisk();
    await firstBoot(disk);
    await folderOf(disk).begin();
    await expect(folderOf(disk).finish()).rejects.toThrow();
    await expectWhole(disk);
  });
});
