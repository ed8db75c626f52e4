import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/bytes/concat.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { survivals } from '../support/disk-survival.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';
import { contentOf, filledDisk, STORE_PATH, storeOptions } from '../support/store-on-disk.ts';

const ERASABLE = ['secret-space'];

async function aBackup() {
  const disk = new SimulatedDisk();
  const content = await filledDisk(disk);
  const store = await SealedStore.open(storeOptions(disk));
  const parts: Uint8Array[] = [];
  await store.backup(async (bytes) => void parts.push(bytes.slice()));
  await store.close();
  return { content, bytes: Buffer.concat(parts) };
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
}

/** Small segments, so that a restoration writes several. */
const restore = (disk: SimulatedDisk, backup: Uint8Array) =>
  SealedStore.restore({ ...storeOptions(disk, { segmentBytes: 1500 }), source: inPieces(backup) });

const create = async (disk: SimulatedDisk) => (await SealedStore.create(storeOptions(disk))).close();

const openContent = async (disk: SimulatedDisk) => {
  await using store = await SealedStore.open(storeOptions(disk));
  return await contentOf(store, ERASABLE);
};

/** What the next process may find: after a power cut of each kind, and after a kill alone. */
function* leftOf(disk: SimulatedDisk): Generator<readonly [fate: string, disk: SimulatedDisk]> {
  for (const survival of survivals)
    for (const seed of [1, 2, 3]) yield [`${survival} ${seed}`, disk.afterPowerCut(survival, seed)];
  yield ['kill', disk.afterKill()];
}

/** Begins on an empty disk with the power cut before every step. `check` looks at everything that may be left. */
async function cutEverywhere(
  begin: (disk: SimulatedDisk) => Promise<unknown>,
  check: (disk: SimulatedDisk, finished: boolean, where: string) => Promise<void>,
): Promise<number> {
  for (let cut = 1; ; cut++) {
    const disk = new SimulatedDisk();
    disk.cutAt(cut);
    const finished = await begin(disk).then(
      () => !disk.operations.off,
      (error: unknown) => {
        if (!disk.operations.off) throw error;
        return false;
      },
    );
    for (const [fate, left] of leftOf(disk)) await check(left, finished, `cut before step ${cut}, ${fate}`);
    if (finished) return cut;
  }
}

/** True when there is a store, false when there is none yet; anything else is a failure. */
const isStore = (disk: SimulatedDisk): boolean => disk.files().has(`${STORE_PATH}/MANIFEST`);

describe('power cut at every step of the creation of a store', () => {
  it('create: there is a complete empty store, or a second attempt creates it', async () => {
    const steps = await cutEverywhere(create, async (disk, finished, where) => {
      if (finished) expect(isStore(disk), where).toBe(true);
      if (!isStore(disk)) await create(disk);
      expect(await openContent(disk), where).toEqual(new Map());
    });
    expect(steps).toBeGreaterThan(8);
  });

  it('restore: there is the complete store, or a second attempt in the same folder restores it', async () => {
    const { content, bytes } = await aBackup();
    let again = 0;
    const steps = await cutEverywhere(
      (disk) => restore(disk, bytes),
      async (disk, finished, where) => {
        if (finished) expect(isStore(disk), where).toBe(true);
        if (!isStore(disk)) {
          await expect(SealedStore.open(storeOptions(disk)), where).rejects.toMatchObject({
            code: expect.stringMatching(/^STORE_(NOT_FOUND|MANIFEST_MISSING)$/),
          });
          await restore(disk, bytes);
          again++;
        }
        expect(await openContent(disk), where).toEqual(content);
        expect([...disk.files().keys()].filter((file) => file.includes('RESTORING'))).toEqual([]);
      },
    );
    expect(steps).toBeGreaterThan(20);
    expect(again).toBeGreaterThan(100);
  });

  it('restore with a power cut in the first and in the second attempt: the third attempt succeeds', async () => {
    const { content, bytes } = await aBackup();
    for (let first = 2; first < 30; first += 3) {
      for (let second = 1; second < 14; second++) {
        const disk = new SimulatedDisk();
        disk.cutAt(first);
        await restore(disk, bytes).catch(() => undefined);
        const next = disk.afterPowerCut('subset', first);
        next.cutAt(second);
        await restore(next, bytes).catch(() => undefined);
        const last = next.afterPowerCut('subset', second);
        if (!isStore(last)) await restore(last, bytes);
        expect(await openContent(last), `cuts ${first}, ${second}`).toEqual(content);
      }
    }
  });

  it('create after an interrupted restore in the same folder: the store is empty, without data of the backup', async () => {
    const { bytes } = await aBackup();
    const disk = new SimulatedDisk();
    disk.cutAt(20);
    await restore(disk, bytes).catch(() => undefined);
    const left = disk.afterPowerCut('kept');
    expect([...left.files().keys()]).toContain(`${STORE_PATH}/RESTORING`);
    await create(left);
    expect(await openContent(left)).toEqual(new Map());
    expect([...left.files().keys()].filter((file) => file.includes('segment-'))).toHaveLength(1);
  });
});

describe('a restore that fails, or that finds other files in its folder', () => {
  it('when any operation fails once, gives a typed error, and the next attempt restores the store', async () => {
    const { content, bytes } = await aBackup();
    for (const code of ['EIO', 'ENOSPC']) {
      for (let at = 1; at < 40; at++) {
        const disk = new SimulatedDisk();
        disk.inject(({ step, kind }) =>
          step === at && kind !== 'stat' && kind !== 'list' ? { code } : undefined,
        );
        await restore(disk, bytes).catch((error: unknown) =>
          expect(error).toHaveProperty('code', expect.stringMatching(/^STORE_/)),
        );
        disk.inject(undefined);
        expect(disk.operations.openHandles, `${code} at ${at}`).toBe(0);
        if (!isStore(disk)) await restore(disk, bytes);
        expect(await openContent(disk), `${code} at ${at}`).toEqual(content);
      }
    }
  });

  it('removes no file that it did not write', async () => {
    const { bytes } = await aBackup();
    const foreign = ['notes.txt', 'segment-0000000001', 'keys-0000000001', 'RESTORING', 'RESTORING.new'];
    for (const name of foreign) {
      const disk = new SimulatedDisk();
      await disk.mkdir(STORE_PATH);
      disk.tamper(
        `${STORE_PATH}/${name}`,
        utf8('somebody else wrote this, and it is longer than any leftover '.repeat(4)),
      );
      const before = disk.files();
      await expect(restore(disk, bytes)).rejects.toMatchObject({ code: 'STORE_PLACE_NOT_EMPTY' });
      await expect(create(disk)).rejects.toMatchObject({ code: 'STORE_PLACE_NOT_EMPTY' });
      expect(disk.files()).toEqual(before);
    }
  });

  it('leaves everything unchanged when a foreign file is next to its own unfinished files', async () => {
    const { bytes } = await aBackup();
    const disk = new SimulatedDisk();
    disk.cutAt(20);
    await restore(disk, bytes).catch(() => undefined);
    const left = disk.afterPowerCut('kept');
    left.tamper(`${STORE_PATH}/notes.txt`, utf8('mine'));
    const before = left.files();
    await expect(restore(left, bytes)).rejects.toMatchObject({ code: 'STORE_PLACE_NOT_EMPTY' });
    expect(left.files()).toEqual(before);
  });
});
