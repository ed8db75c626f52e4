import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { CheckpointCipher } from '../../../src/store/log/checkpoint-format.ts';
import { openManifest } from '../../../src/store/log/manifest.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { contentsOf, fingerprint } from '../../simulation/store-model.ts';
import { seededDice } from '../../support/disk-dice.ts';
import { type DormantStore, STORE_PATH as SIMULATED_PATH, SimulatedStore } from '../../support/disk-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { fileOn, STORE_PATH, storeKeyOf, storeOptions } from '../../support/store-on-disk.ts';
import { secrets, type VictimStore, victim } from './hostile-store.ts';

const withCheckpoints = { checkpointBytes: 0 } as const;

const checkpointsOn = (disk: SimulatedDisk): string[] =>
  [...disk.files().keys()].filter((path) => path.includes('/checkpoint-')).sort();

function theCheckpoint(disk: SimulatedDisk): { readonly path: string; readonly bytes: Uint8Array } {
  const [path, second] = checkpointsOn(disk);
  if (path === undefined || second !== undefined) throw new Error('not one checkpoint');
  return { path, bytes: fileOn(disk, path) };
}

async function openedFrom(store: DormantStore): Promise<{ readonly use: string; readonly text: string }> {
  const opened = await store.reopen();
  const { checkpoint } = opened.store.opening;
  const text = fingerprint(await contentsOf(opened.store));
  await opened.store.close();
  return { use: checkpoint, text };
}

/** Puts other bytes in the place of the checkpoint: everything must be replayed, and nothing be lost. */
async function expectIgnored(
  { simulated, contents }: VictimStore,
  path: string,
  bytes: Uint8Array | undefined,
  what: string,
): Promise<void> {
  const disk = simulated.disk.clone();
  disk.tamper(path, bytes);
  const { use, text } = await openedFrom(simulated.on(disk));
  expect(use, what).toBe('unusable');
  expect(text, what).toBe(fingerprint(contents));
}

/** What lies in the checkpoint of a store for the holder of the store key, without the keys of namespaces. */
function plaintextOf(disk: SimulatedDisk, key = storeKeyOf(7), folder = STORE_PATH): string {
  const { header, manifest } = openManifest(fileOn(disk, `${folder}/MANIFEST`), key);
  if (manifest.checkpoint === undefined) throw new Error('no checkpoint is listed');
  const binding = { ...manifest.checkpoint, storeId: header.storeId, generation: manifest.generation };
  const cipher = new CheckpointCipher(key, binding);
  const bytes = Buffer.from(theCheckpoint(disk).bytes);
  let text = '';
  for (let at = 0, chunk = 0; at < bytes.length; chunk++) {
    const end = at + 4 + bytes.readUInt32BE(at);
    const opened = cipher.open(chunk, end === bytes.length, bytes.subarray(at + 4, end));
    text += Buffer.from(opened ?? utf8('DOES NOT OPEN')).toString('latin1');
    at = end;
  }
  return text;
}

describe('the checkpoint of a closed store', () => {
  it('is used: the store has the same contents, and takes writes', async () => {
    const store = await victim('closed', withCheckpoints);
    const opened = await store.simulated.reopen();
    expect(opened.store.opening).toMatchObject({ checkpoint: 'used', tornBytes: 0, removedFiles: [] });
    expect(fingerprint(await contentsOf(opened.store))).toBe(fingerprint(store.contents));
    const names = await opened.store.namespace(secrets.namespaces[0]);
    await names.put('after', utf8('it'));
    await names.delete(secrets.names[1]);
    const now = fingerprint(await contentsOf(opened.store));
    // Not closed: what follows the checkpoint is replayed.
    const again = await opened.powerCut('lost');
    expect(again.store.opening.checkpoint).toBe('used');
    expect(fingerprint(await contentsOf(again.store))).toBe(now);
  });

  it('with one flipped bit in any byte is ignored', async () => {
    const store = await victim('closed', withCheckpoints);
    const { path, bytes } = theCheckpoint(store.simulated.disk);
    for (let at = 0; at < bytes.length; at++)
      await expectIgnored(store, path, bytes.with(at, (bytes[at] ?? 0) ^ (1 << (at % 8))), `byte ${at}`);
  }, 600_000);

  it('is ignored when it is gone, shorter, longer, or other bytes', async () => {
    const store = await victim('closed', withCheckpoints);
    const { path, bytes } = theCheckpoint(store.simulated.disk);
    await expectIgnored(store, path, undefined, 'gone');
    for (let length = 0; length < bytes.length; length += 7)
      await expectIgnored(store, path, bytes.slice(0, length), `${length} bytes`);
    await expectIgnored(store, path, Uint8Array.of(...bytes, 0), 'a byte more');
    await expectIgnored(store, path, Uint8Array.of(...bytes, ...bytes), 'twice');
    await expectIgnored(store, path, new Uint8Array(bytes.length), 'zeros');
    await expectIgnored(store, path, seededDice(5).bytes(bytes.length), 'random bytes');
    await expectIgnored(store, path, new Uint8Array(bytes.length).fill(0xff), 'a chunk of 4 GiB');
  });

  it('is ignored when it is an older one of the same store', async () => {
    const simulated = await SimulatedStore.create({ segmentBytes: 1 << 16, ...withCheckpoints });
    let now = simulated;
    const older: Uint8Array[] = [];
    for (let turn = 0; turn < 4; turn++) {
      const names = await now.store.namespace('kv');
      // The same names and lengths each time: only binding tells the checkpoints apart.
      for (let index = 0; index < 4; index++) await names.put(`name-${index}`, utf8(`value ${turn}`));
      await now.store.close();
      older.push(theCheckpoint(now.disk).bytes);
      now = await now.leftBy('lost', 1).reopen();
    }
    const contents = await contentsOf(now.store);
    const left = { simulated: now.leftBy('lost', 1), contents, history: [] };
    const { path, bytes } = theCheckpoint(left.simulated.disk);
    expect(older.at(-1)).toEqual(bytes);
    for (const [turn, copy] of older.slice(0, -1).entries()) {
      expect(copy).not.toEqual(bytes);
      await expectIgnored(left, path, copy, `of turn ${turn}`);
    }
  });

  it('is ignored when it is that of another store with the same key', async () => {
    const store = await victim('closed', withCheckpoints);
    const other = await victim('closed', withCheckpoints, 2);
    const { path } = theCheckpoint(store.simulated.disk);
    await expectIgnored(store, path, theCheckpoint(other.simulated.disk).bytes, 'of another store');
  });

  it('with swapped, repeated or missing chunks is ignored', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk, withCheckpoints));
    await store.namespace('kv');
    const nameOf = (index: number) => `a name that is rather long, so that there are several chunks ${index}`;
    for (let from = 0; from < 8000; from += 2000)
      await store.batch(
        Array.from({ length: 2000 }, (_, index) => ({
          ...{ kind: 'put', namespace: 'kv', name: nameOf(from + index), value: utf8('v') },
        })) as never,
      );
    await store.close();
    const { path, bytes } = theCheckpoint(disk);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 4 + Buffer.from(bytes).readUInt32BE(at);
      chunks.push(bytes.slice(at, end));
      at = end;
    }
    expect(chunks.length).toBeGreaterThan(2);
    const [first = bytes, second = bytes, ...others] = chunks;
    const attacks = [
      [second, first, ...others],
      [first, first, ...others],
      [first, ...others],
      [first, second],
      [first, second, ...others, first],
    ];
    for (const [attack, parts] of [chunks, ...attacks].entries()) {
      const copy = disk.clone();
      copy.tamper(path, Buffer.concat(parts));
      let ignored = 0;
      const observer = { checkpointIgnored: () => ignored++ };
      const opened = await SealedStore.open(storeOptions(copy, { ...withCheckpoints, observer }));
      expect(ignored, `attack ${attack}`).toBe(attack === 0 ? 0 : 1);
      expect(opened.opening.checkpoint, `attack ${attack}`).toBe(attack === 0 ? 'used' : 'unusable');
      expect((await opened.namespace('kv')).size).toBe(8000);
      await opened.close();
    }
  }, 60_000);

  it('does not hide damage of what it covers, nor records that were cut off', async () => {
    const store = await victim('closed', withCheckpoints);
    const segments = [...store.simulated.disk.files()].filter(([path]) => path.includes('segment-'));
    for (const [path, bytes] of segments) {
      for (const at of [60, 140, bytes.length >> 1, bytes.length - 1]) {
        const disk = store.simulated.disk.clone();
        disk.tamper(path, bytes.with(at, (bytes[at] ?? 0) ^ 1));
        await expect(store.simulated.on(disk).reopen(), `${path} ${at}`).rejects.toMatchObject({
          code: expect.stringMatching(/^STORE_/),
        });
      }
      const disk = store.simulated.disk.clone();
      disk.tamper(path, bytes.slice(0, -1));
      await expect(store.simulated.on(disk).reopen()).rejects.toMatchObject({
        code: 'STORE_SEGMENT_TRUNCATED',
      });
    }
  });

  it('is ignored by a check, which looks at everything', async () => {
    const disk = new SimulatedDisk();
    const options = storeOptions(disk, withCheckpoints);
    const store = await SealedStore.create(options);
    await (await store.namespace('kv')).put('name', utf8('value'));
    await store.close();
    const before = disk.files();
    expect(await SealedStore.check(options)).toMatchObject({ isSound: true, records: 1, namespaces: 1 });
    expect(disk.files()).toEqual(before);
  });
});

describe('an authentic checkpoint that says something else than the log', () => {
  const simulatedKey = storeKeyOf(0x5e);

  /** Puts another plaintext of the same length into the only chunk, as a program with a defect would have written it. */
  function resealed(disk: SimulatedDisk, change: (plaintext: Buffer) => Buffer): SimulatedDisk {
    const { header, manifest } = openManifest(fileOn(disk, `${SIMULATED_PATH}/MANIFEST`), simulatedKey);
    if (manifest.checkpoint === undefined) throw new Error('no checkpoint is listed');
    const binding = { ...manifest.checkpoint, storeId: header.storeId, generation: manifest.generation };
    const cipher = new CheckpointCipher(simulatedKey, binding);
    const { path, bytes } = theCheckpoint(disk);
    const plaintext = cipher.open(0, true, bytes.subarray(4));
    if (plaintext === undefined) throw new Error('not one chunk');
    const sealed = cipher.seal(0, true, new Uint8Array(24).fill(9), change(Buffer.from(plaintext)));
    const clone = disk.clone();
    clone.tamper(path, Uint8Array.of(...bytes.subarray(0, 4), ...sealed));
    return clone;
  }

  /** Where the namespace entry begins: behind the counts of one segment. */
  const NAMESPACE_AT = 1 + 4 + 32;
  const put = (at: number, ...bytes: readonly number[]) => {
    return (plaintext: Buffer): Buffer => {
      plaintext.set(bytes, at);
      return plaintext;
    };
  };
  const NONE = [0xff, 0xff, 0xff, 0xff] as const;

  it.each<[what: string, change: (plaintext: Buffer) => Buffer]>([
    ['an entry of unknown kind', put(NAMESPACE_AT, 9)],
    ['what a namespace holds, before any namespace', put(0, 5)],
    ['sealed names, before any namespace', put(0, 4, 0, 0, 0, 30)],
    ['counts of another segment', put(5, 0, 0, 0, 0, 0, 0, 0, 77)],
    ['counts of more segments', put(1, 0, 0, 0, 2)],
    ['a record in an unknown segment', (text) => put(text.indexOf('a-name') - 17, ...NONE)(text)],
    ['a namespace in an unknown segment', (text) => put(text.length - 12, ...NONE)(text)],
    [
      'no counts',
      (text) =>
        Buffer.concat([
          Buffer.from([2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, text.length - 12]),
          text.subarray(12).fill('n'),
        ]),
    ],
  ])('%s: it is ignored', async (_what, change) => {
    const simulated = await SimulatedStore.create({ segmentBytes: 1 << 16, ...withCheckpoints });
    const names = await simulated.store.namespace('kv');
    await names.put('a-name', utf8('value'));
    const secret = await simulated.store.namespace('secret', { erasable: true });
    await secret.put('b-name', utf8('value'));
    const contents = await contentsOf(simulated.store);
    await simulated.store.close();
    const left = simulated.leftBy('lost', 1);
    expect((await openedFrom(left.on(resealed(left.disk, (plaintext) => plaintext)))).use).toBe('used');
    expect(await openedFrom(left.on(resealed(left.disk, change)))).toEqual({
      use: 'unusable',
      text: fingerprint(contents),
    });
  });
});

describe('names in a checkpoint', () => {
  async function withNames(): Promise<{ disk: SimulatedDisk; store: SealedStore }> {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk, { ...withCheckpoints, segmentBytes: 1500 }));
    const plain = await store.namespace('plain-space');
    const secret = await store.namespace('secret-space', { erasable: true });
    for (let turn = 0; turn < 9; turn++) {
      await plain.put(`plain-name-${turn}`, new Uint8Array(60).fill(turn));
      await secret.put(`secret-name-${turn}`, new Uint8Array(60).fill(turn));
    }
    return { disk, store };
  }

  it('are in no file in the clear', async () => {
    const store = await victim('closed', withCheckpoints);
    const bytes = Buffer.from(theCheckpoint(store.simulated.disk).bytes);
    for (const text of [...secrets.names, ...secrets.namespaces]) expect(bytes.includes(text)).toBe(false);
  });

  it('of an erasable namespace open only with the key of that namespace, so that erasing it erases them', async () => {
    const { disk, store } = await withNames();
    await store.close();
    const text = plaintextOf(disk);
    expect(text).toContain('plain-name-8');
    expect(text).toContain('secret-space');
    expect(text).not.toContain('secret-name');
    const again = await SealedStore.open(storeOptions(disk, withCheckpoints));
    expect(again.opening.checkpoint).toBe('used');
    expect((await again.namespace('secret-space', { erasable: true })).size).toBe(9);
    await again.close();
  });

  it('leave with the erased namespace', async () => {
    const { disk, store } = await withNames();
    await store.eraseNamespace('secret-space');
    await store.settled();
    await store.close();
    expect(plaintextOf(disk)).not.toContain('secret-space');
  });

  it('leave with the deleted record when the store is compacted', async () => {
    const { disk, store } = await withNames();
    await store.close();
    expect(plaintextOf(disk)).toContain('plain-name-3');
    const again = await SealedStore.open(storeOptions(disk, withCheckpoints));
    await (await again.namespace('plain-space')).delete('plain-name-3');
    await again.compact();
    await again.settled();
    for (const path of checkpointsOn(disk)) expect(path).toBe(theCheckpoint(disk).path);
    expect(plaintextOf(disk)).not.toContain('plain-name-3');
    expect(plaintextOf(disk)).toContain('plain-name-4');
    await again.close();
  });

  it('are sealed under the present store key only', async () => {
    const { disk, store } = await withNames();
    await store.close();
    const old = theCheckpoint(disk).bytes;
    const again = await SealedStore.open(storeOptions(disk, withCheckpoints));
    await again.rotateStoreKey(storeKeyOf(9));
    await again.settled();
    for (const path of checkpointsOn(disk)) expect(fileOn(disk, path)).not.toEqual(old);
    await again.close();
    expect(plaintextOf(disk, storeKeyOf(9))).toContain('plain-name-3');
    const opened = await SealedStore.open(
      storeOptions(disk, { ...withCheckpoints, storeKey: storeKeyOf(9) }),
    );
    expect(opened.opening.checkpoint).toBe('used');
    await opened.close();
  });
});

describe('a namespace that is erased after the checkpoint', () => {
  it('is gone after a power cut, its segments are known to hold dead records, and the counts are right', async () => {
    const disk = new SimulatedDisk();
    const options = storeOptions(disk, { ...withCheckpoints, segmentBytes: 2000 });
    const store = await SealedStore.create(options);
    const plain = await store.namespace('plain');
    const secret = await store.namespace('secret', { erasable: true });
    for (let turn = 0; turn < 12; turn++) {
      await plain.put(`name-${turn}`, new Uint8Array(100).fill(turn));
      await secret.put(`name-${turn % 5}`, new Uint8Array(100).fill(turn));
    }
    await store.close();
    const second = await SealedStore.open(options);
    expect(second.opening.checkpoint).toBe('used');
    await second.eraseNamespace('secret');
    const live = second.stat().liveBytes;
    const left = disk.afterPowerCut('lost', 1);
    const third = await SealedStore.open({ ...options, fileSystem: left });
    expect(third.opening.checkpoint).toBe('used');
    expect(third.namespaces()).toEqual(['plain']);
    expect(third.stat()).toMatchObject({ records: 12, liveBytes: live });
    const replayed = await SealedStore.check({ ...options, fileSystem: left.afterKill() });
    expect(replayed).toMatchObject({ isSound: true, records: 12, namespaces: 1 });
    await third.close();
    // The sweep of a store that compacts by itself takes all segments with a record of it, overwritten ones too.
    const fourth = await SealedStore.open({ ...options, fileSystem: left, compaction: 'automatic' });
    const before = [...left.files().keys()].filter((path) => path.includes('segment-'));
    await fourth.settled();
    const after = new Set(left.files().keys());
    expect(before.filter((path) => !after.has(path)).length).toBeGreaterThan(2);
    expect(await contentsOfPlain(fourth)).toBe(12);
    await fourth.close();
  });

  it('has all its segments swept by the process that erases it, also those with overwritten records alone', async () => {
    const disk = new SimulatedDisk();
    const options = storeOptions(disk, { ...withCheckpoints, segmentBytes: 1000 });
    const store = await SealedStore.create(options);
    const plain = await store.namespace('plain');
    const secret = await store.namespace('secret', { erasable: true });
    const holding: string[] = [];
    for (let turn = 0; turn < 6; turn++) {
      await secret.put('the same name', new Uint8Array(100).fill(turn));
      holding.push([...disk.files().keys()].filter((path) => path.includes('segment-')).at(-1) ?? '');
      for (let index = 0; index < 4; index++)
        await plain.put(`name-${turn}-${index}`, new Uint8Array(200).fill(turn));
    }
    await store.close();
    const second = await SealedStore.open({ ...options, compaction: 'automatic' });
    expect(second.opening.checkpoint).toBe('used');
    await second.settled();
    const before = holding.filter((path) => disk.files().has(path));
    // The newest is rewritten for its live record anyway.
    expect(before.length).toBeGreaterThan(2);
    await second.eraseNamespace('secret');
    await second.settled();
    expect(before.filter((path) => disk.files().has(path))).toEqual([]);
    expect(await contentsOfPlain(second)).toBe(24);
    await second.close();
  });

  const contentsOfPlain = async (store: SealedStore): Promise<number> =>
    (await store.namespace('plain')).size;
});

describe('files beside the checkpoint', () => {
  it('that an interrupted one left are removed, and the listed one stays', async () => {
    const store = await victim('closed', withCheckpoints);
    const { path } = theCheckpoint(store.simulated.disk);
    const disk = store.simulated.disk.clone();
    const leftover = path.replace(/\d{10}$/, '0000009999');
    disk.tamper(leftover, utf8('half a checkpoint'));
    const opened = await store.simulated.on(disk).reopen();
    expect(opened.store.opening.checkpoint).toBe('used');
    expect(opened.store.opening.removedFiles).toHaveLength(1);
    expect(checkpointsOn(disk)).toEqual([path]);
    await opened.store.close();
  });

  it('of a small store with the default tuning there is none', async () => {
    const store = await victim('closed');
    expect(checkpointsOn(store.simulated.disk)).toEqual([]);
    expect((await openedFrom(store.simulated)).use).toBe('none');
  });
});
