import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { readStoreHeader, storeKeyMatches } from '../../../src/store/keys/store-header.ts';
import { openManifest } from '../../../src/store/log/manifest.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { containing } from '../../support/head-judge.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import {
  contentOf,
  fileOn,
  filledDisk,
  STORE_PATH,
  segmentPaths,
  storeKeyOf,
  storeOptions,
} from '../../support/store-on-disk.ts';

const erasable = ['secret-space'];

async function* sliced(bytes: Uint8Array, length = 77): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.slice(at, at + length);
}

async function backedUp(store: SealedStore): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  await store.backup(async (bytes) => void parts.push(bytes.slice()));
  return new Uint8Array(Buffer.concat(parts));
}

async function filled() {
  const disk = new SimulatedDisk();
  const content = await filledDisk(disk);
  return { disk, content, store: await SealedStore.open(storeOptions(disk)) };
}

describe('changing the store key', () => {
  it('keeps all records, lets only the new key open, and removes the old keys', async () => {
    const { disk, content, store } = await filled();
    const before = store.head();
    await store.rotateStoreKey(storeKeyOf(8));
    expect(store.head().generation).toBe(before.generation + 1);
    expect(await contentOf(store, erasable)).toEqual(content);
    await (await store.namespace('plain-space')).put('during', Uint8Array.of(1));
    await store.settled();
    await store.close();
    await expect(SealedStore.open(storeOptions(disk))).rejects.toMatchObject({ code: 'STORE_WRONG_KEY' });
    expect(storeKeyMatches(await readStoreHeader(disk, STORE_PATH), storeKeyOf(8))).toBe(true);
    const options = storeOptions(disk, { storeKey: storeKeyOf(8) });
    const again = await SealedStore.open({ ...options, admit: containing(before) });
    expect(await contentOf(again, erasable)).toEqual(new Map(content).set('plain-space/during', '01'));
    await again.close();
    expect([...disk.files().keys()].some((path) => path.endsWith('keys-0000000001'))).toBe(false);
  });

  it('removes the old keys, also when it runs at any step of a compaction', async () => {
    let isMet = true;
    for (let at = 1; isMet; at += 3) {
      const { disk, content, store } = await filled();
      let operations = 0;
      let rotating: Promise<void> | undefined;
      disk.inject(() => {
        operations += 1;
        // Not inside the operation that it meets.
        if (operations === at) rotating = Promise.resolve().then(() => store.rotateStoreKey(storeKeyOf(8)));
        return undefined;
      });
      await store.compact();
      disk.inject(undefined);
      isMet = rotating !== undefined;
      await rotating;
      await store.settled();
      const { manifest } = openManifest(fileOn(disk, `${STORE_PATH}/MANIFEST`), storeKeyOf(isMet ? 8 : 7));
      expect(manifest.oldKeys).toEqual([]);
      expect(await contentOf(store, erasable)).toEqual(content);
      await store.close();
    }
  });

  it('twice concurrently: the second key opens everything, also before the old records are sealed again', async () => {
    const { disk, content, store } = await filled();
    const space = await store.namespace('plain-space');
    await Promise.all([
      store.rotateStoreKey(storeKeyOf(8)),
      space.put('between', Uint8Array.of(1)),
      store.rotateStoreKey(storeKeyOf(9)),
      space.put('later', Uint8Array.of(2)),
    ]);
    const left = disk.afterPowerCut('lost');
    const opened = await SealedStore.open(storeOptions(left, { storeKey: storeKeyOf(9) }));
    const more = [
      ['plain-space/between', '01'],
      ['plain-space/later', '02'],
    ] as const;
    expect(await contentOf(opened, erasable)).toEqual(new Map([...content, ...more]));
    await opened.close();
    await store.close();
  });

  it('refuses a key and an unlock field of a wrong length, and the store continues', async () => {
    const { disk, store } = await filled();
    const before = disk.files();
    const short = new SecretBytes(new Uint8Array(31));
    await expect(store.rotateStoreKey(short)).rejects.toBeInstanceOf(RangeError);
    const long = store.rotateStoreKey(storeKeyOf(8), new Uint8Array(1025));
    await expect(long).rejects.toBeInstanceOf(RangeError);
    expect(disk.files()).toEqual(before);
    await (await store.namespace('plain-space')).put('more', Uint8Array.of(1));
    await store.close();
  });

  it('overwrites the keys file of an interrupted change before it is removed', async () => {
    const { disk, store } = await filled();
    await store.close();
    const orphan = `${STORE_PATH}/keys-0000000002`;
    disk.tamper(orphan, fileOn(disk, `${STORE_PATH}/keys-0000000001`));
    const done: string[] = [];
    disk.inject(({ kind, path }) => void (path === orphan && done.push(kind)));
    await (await SealedStore.open(storeOptions(disk))).close();
    expect(done.filter((kind) => ['write', 'sync', 'unlink'].includes(kind))).toEqual([
      'write',
      'sync',
      'unlink',
    ]);
  });

  it('survives a power cut at every step: one of the two keys opens everything', async () => {
    const { disk, content, store } = await filled();
    await store.close();
    for (let cut = 1; ; cut += 1) {
      const trial = disk.clone();
      const running = await SealedStore.open(storeOptions(trial));
      trial.cutAt(trial.steps + cut);
      let isDone = false;
      try {
        await running.rotateStoreKey(storeKeyOf(8));
        await running.compact();
        isDone = true;
      } catch {
        // The power is off.
      }
      await running.close().catch(() => undefined);
      const left = trial.afterPowerCut('subset', cut);
      const fits = storeKeyMatches(await readStoreHeader(left, STORE_PATH), storeKeyOf(8));
      const opened = await SealedStore.open(storeOptions(left, { storeKey: storeKeyOf(fits ? 8 : 7) }));
      expect(await contentOf(opened, erasable)).toEqual(content);
      await opened.close();
      if (isDone) break;
    }
  });
});

describe('erasing', () => {
  it('destroys the key, survives reopening, and compaction removes the bytes', async () => {
    const { disk, store } = await filled();
    const keysPath = `${STORE_PATH}/keys-0000000001`;
    expect(fileOn(disk, keysPath).some((byte) => byte !== 0)).toBe(true);
    await store.eraseNamespace('secret-space');
    expect(fileOn(disk, keysPath).every((byte) => byte === 0)).toBe(true);
    await store.compact();
    const { records, liveBytes } = store.stat();
    await store.close();
    const again = await SealedStore.open(storeOptions(disk));
    expect([again.namespaces(), again.stat().records]).toEqual([['plain-space'], records]);
    expect(again.stat().liveBytes).toBe(liveBytes);
    await again.close();
  });

  it('is completed by the next opening after a power cut between its steps', async () => {
    const { disk, store } = await filled();
    await store.close();
    for (let cut = 1; cut <= 6; cut += 1) {
      const trial = disk.clone();
      const running = await SealedStore.open(storeOptions(trial));
      trial.cutAt(trial.steps + cut);
      const erased = await running.eraseNamespace('secret-space').catch(() => false);
      await running.close().catch(() => undefined);
      const opened = await SealedStore.open(storeOptions(trial.afterPowerCut('prefix', cut)));
      const isThere = opened.namespaces().includes('secret-space');
      if (erased) expect(isThere).toBe(false);
      if (isThere) expect((await contentOf(opened, erasable)).has('secret-space/second-0')).toBe(true);
      await opened.close();
    }
  });
});

describe('backup and restore', () => {
  it('give an equal store with the same id, a higher generation and the same position in the log', async () => {
    const { content, store } = await filled();
    const backup = await backedUp(store);
    const head = store.head();
    const disk = new SimulatedDisk();
    const report = await SealedStore.restore({ ...storeOptions(disk), source: sliced(backup) });
    expect(report).toMatchObject({ namespaces: 2, records: content.size, head });
    const restored = await SealedStore.open(storeOptions(disk));
    expect(await contentOf(restored, erasable)).toEqual(content);
    expect(restored.storeId).toEqual(store.storeId);
    expect(restored.head()).toEqual({ ...head, generation: head.generation + 1 });
    await (await restored.namespace('secret-space', { erasable: true })).put('more', Uint8Array.of(1));
    await restored.close();
    await (await SealedStore.open(storeOptions(disk))).close();
    await store.close();
  });

  it('contain the state of one moment, independent of concurrent writes', async () => {
    const { content, store } = await filled();
    const space = await store.namespace('plain-space');
    const parts: Uint8Array[] = [];
    await store.backup(async (bytes) => {
      parts.push(bytes.slice());
      await space.put('later', Uint8Array.of(1));
      await space.delete('first-1');
      await store.compact();
    });
    const disk = new SimulatedDisk();
    await SealedStore.restore({
      ...storeOptions(disk),
      source: sliced(new Uint8Array(Buffer.concat(parts))),
    });
    const restored = await SealedStore.open(storeOptions(disk));
    expect(await contentOf(restored, erasable)).toEqual(content);
    await restored.close();
    await store.close();
  });

  it('V9 refuse a wrong key, any edit, any truncation, a wrong version and a non-empty folder', async () => {
    const { disk: origin, store } = await filled();
    const backup = await backedUp(store);
    await store.close();
    const restore = async (bytes: Uint8Array, key = 7): Promise<string> => {
      const disk = new SimulatedDisk();
      const options = { ...storeOptions(disk, { storeKey: storeKeyOf(key) }), source: sliced(bytes, 10_000) };
      const code = await SealedStore.restore(options).then(
        () => 'restored',
        (error: { code: string }) => error.code,
      );
      expect([...disk.files().keys()]).toEqual(code === 'restored' ? expect.anything() : []);
      return code;
    };
    expect(await restore(backup, 8)).toBe('STORE_WRONG_KEY');
    expect(await restore(backup.with(9, 9))).toBe('STORE_FORMAT_UNSUPPORTED');
    expect(await restore(Uint8Array.of(...backup, 0))).toBe('STORE_BACKUP_DAMAGED');
    for (let at = 0; at < backup.length; at += 13)
      expect(await restore(backup.with(at, (backup[at] ?? 0) ^ 4))).toMatch(
        /STORE_(BACKUP_(INVALID|DAMAGED|TRUNCATED)|FORMAT_UNSUPPORTED|WRONG_KEY)/,
      );
    for (let length = 0; length < backup.length; length += 97)
      expect(await restore(backup.slice(0, length))).toBe('STORE_BACKUP_TRUNCATED');
    const onto = SealedStore.restore({ ...storeOptions(origin), source: sliced(backup) });
    await expect(onto).rejects.toMatchObject({ code: 'STORE_EXISTS' });
  });
});

describe('check and lossy repair', () => {
  it('check reports without changes; repair reports the lost records, and keeps the others', async () => {
    const { disk, content, store } = await filled();
    await store.close();
    expect(await SealedStore.check(storeOptions(disk))).toMatchObject({
      isSound: true,
      records: content.size,
    });
    const [first = ''] = segmentPaths(disk);
    const bytes = fileOn(disk, first);
    disk.tamper(first, bytes.with(700, (bytes[700] ?? 0) ^ 1));
    const before = disk.files();
    const report = await SealedStore.check(storeOptions(disk));
    expect(report).toMatchObject({ isSound: false, problems: [{ code: 'STORE_SEGMENT_DAMAGED' }] });
    const plan = await SealedStore.planRepair(storeOptions(disk));
    expect(plan.losses.length).toBeGreaterThan(0);
    expect(disk.files()).toEqual(before);
    expect(plan.records).toBeGreaterThan(content.size - 4);
    await plan.apply();
    const repaired = await SealedStore.open(storeOptions(disk));
    const left = await contentOf(repaired, erasable);
    expect(left.size).toBe(plan.records);
    for (const [name, value] of left) if (content.has(name)) expect(value).toBe(content.get(name));
    await repaired.close();
    expect(disk.files().get(`${STORE_PATH}/damaged-segment-0000000001`)).toBeDefined();
  });
});
