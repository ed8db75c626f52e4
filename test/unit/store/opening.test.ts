import { describe, expect, it } from 'vitest';
import { encodeStoreHeader, readStoreHeader, storeKeyMatches } from '../../../src/store/keys/store-header.ts';
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

const MANIFEST = `${STORE_PATH}/MANIFEST`;

async function prepared(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  await filledDisk(disk);
  return disk;
}

/** Opening is refused with this code, and not a byte on the disk changes. */
async function expectRefused(disk: SimulatedDisk, code: string): Promise<void> {
  const before = disk.files();
  await expect(SealedStore.open(storeOptions(disk))).rejects.toMatchObject({ code });
  expect(disk.files()).toEqual(before);
}

const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.with(at, (bytes[at] ?? 0) ^ 1);

describe('opening refuses, and does not change the store', () => {
  it('another key', async () => {
    const disk = await prepared();
    const before = disk.files();
    const options = storeOptions(disk, { storeKey: storeKeyOf(8) });
    await expect(SealedStore.open(options)).rejects.toMatchObject({ code: 'STORE_WRONG_KEY' });
    expect(disk.files()).toEqual(before);
  });

  it('a folder without a store, a file, a lost manifest', async () => {
    const disk = new SimulatedDisk();
    const code = 'STORE_NOT_FOUND';
    await expect(SealedStore.open(storeOptions(disk))).rejects.toMatchObject({ code });
    await filledDisk(disk);
    const notFolder = { ...storeOptions(disk), path: MANIFEST };
    await expect(SealedStore.open(notFolder)).rejects.toMatchObject({ code: 'STORE_PLACE_NOT_A_FOLDER' });
    disk.tamper(MANIFEST, undefined);
    await expectRefused(disk, 'STORE_MANIFEST_MISSING');
  });

  it('a lost key check, a damaged header, a damaged manifest, a newer format', async () => {
    const disk = await prepared();
    const manifest = fileOn(disk, MANIFEST);
    disk.tamper(MANIFEST, Uint8Array.from(manifest).fill(0, 32, 64));
    await expectRefused(disk, 'STORE_KEY_CHECK_MISSING');
    disk.tamper(MANIFEST, manifest.slice(0, 40));
    await expectRefused(disk, 'STORE_KEY_CHECK_MISSING');
    disk.tamper(MANIFEST, flipped(manifest, 20));
    await expectRefused(disk, 'STORE_MANIFEST_DAMAGED');
    disk.tamper(MANIFEST, flipped(manifest, 120));
    await expectRefused(disk, 'STORE_MANIFEST_DAMAGED');
    disk.tamper(MANIFEST, manifest.with(9, 3));
    await expectRefused(disk, 'STORE_FORMAT_UNSUPPORTED');
  });

  it('a missing, truncated, swapped or foreign segment', async () => {
    const disk = await prepared();
    const [first = '', second = ''] = segmentPaths(disk);
    const [one, two] = [fileOn(disk, first), fileOn(disk, second)];
    disk.tamper(first, undefined);
    await expectRefused(disk, 'STORE_SEGMENT_MISSING');
    disk.tamper(first, one.slice(0, -1));
    await expectRefused(disk, 'STORE_SEGMENT_TRUNCATED');
    disk.tamper(first, Uint8Array.of(...one, 0));
    await expectRefused(disk, 'STORE_SEGMENT_DAMAGED');
    const longTwo = Uint8Array.of(...two, ...new Uint8Array(one.length));
    disk.tamper(first, longTwo);
    await expectRefused(disk, 'STORE_SEGMENT_SWAPPED');
    const other = new SimulatedDisk();
    await filledDisk(other);
    disk.tamper(first, fileOn(other, first));
    await expectRefused(disk, 'STORE_SEGMENT_FOREIGN');
  });

  it('a damaged record, a foreign frame, a repeated and a missing frame', async () => {
    const disk = await prepared();
    const [first = ''] = segmentPaths(disk);
    const bytes = fileOn(disk, first);
    disk.tamper(first, flipped(bytes, 300));
    await expectRefused(disk, 'STORE_SEGMENT_DAMAGED');
    const other = new SimulatedDisk();
    await filledDisk(other);
    const foreign = fileOn(other, first);
    disk.tamper(first, Uint8Array.of(...bytes.slice(0, 128), ...foreign.slice(128)));
    await expectRefused(disk, 'STORE_RECORD_FOREIGN');
    // The second frame twice, in the place of the first: genuine, but not where it belongs.
    const length = 72 + Buffer.from(bytes).readUInt32BE(128 + 12) + 32;
    const second = bytes.slice(128 + length);
    disk.tamper(first, Uint8Array.of(...bytes.slice(0, 128), ...second, ...bytes.slice(-length)));
    await expectRefused(disk, 'STORE_RECORD_MISPLACED');
  });

  it('a shortened file after a clean close', async () => {
    const disk = await prepared();
    const last = segmentPaths(disk).at(-1) ?? '';
    disk.tamper(last, fileOn(disk, last).slice(0, -200));
    await expectRefused(disk, 'STORE_SEGMENT_TRUNCATED');
  });

  it('a damaged key of an erasable namespace', async () => {
    const disk = await prepared();
    const path = `${STORE_PATH}/keys-0000000001`;
    const keys = fileOn(disk, path);
    disk.tamper(path, flipped(keys, 30));
    await expectRefused(disk, 'STORE_NAMESPACE_KEY_DAMAGED');
    disk.tamper(path, undefined);
    await expectRefused(disk, 'STORE_NAMESPACE_KEY_DAMAGED');
  });

  it('a store that is older than a deposited head, or of another history', async () => {
    const disk = await prepared();
    const old = disk.clone();
    const store = await SealedStore.open(storeOptions(disk));
    await (await store.namespace('plain-space')).put('later', Uint8Array.of(1));
    const head = store.head();
    await store.close();
    const rolledBack = { code: 'STORE_ROLLED_BACK' };
    const open = (on: SimulatedDisk, expected: typeof head) =>
      SealedStore.open({ ...storeOptions(on), admit: containing(expected) });
    const before = old.files();
    await expect(open(old, head)).rejects.toMatchObject(rolledBack);
    expect(old.files()).toEqual(before);
    await expect(open(disk, { ...head, digest: new Uint8Array(32) })).rejects.toMatchObject(rolledBack);
    await (await open(disk, head)).close();
    // Without a judge the old one opens, and its log goes on in the same generation.
    const accepted = await SealedStore.open(storeOptions(old));
    expect(accepted.head().generation).toBe(head.generation);
    await accepted.close();
  });
});

describe('a torn tail', () => {
  it('is removed and reported, at any position of the last write', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    const space = await store.namespace('space');
    await space.put('kept', Uint8Array.of(1));
    const [path = ''] = segmentPaths(disk);
    const durable = fileOn(disk, path).length;
    await space.put('torn', new Uint8Array(64));
    const whole = fileOn(disk, path);
    for (let length = durable; length < whole.length; length += 1) {
      const crashed = disk.clone();
      crashed.tamper(path, whole.slice(0, length));
      const opened = await SealedStore.open(storeOptions(crashed));
      expect(opened.opening.tornBytes).toBe(length - durable);
      expect([...(await contentOf(opened)).keys()]).toEqual(['space/kept']);
      expect(fileOn(crashed, path).length).toBe(durable);
      await (await opened.namespace('space')).put('again', Uint8Array.of(2));
      await opened.close();
    }
  });

  it('is damage when a later frame proves that it was durable', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    const space = await store.namespace('space');
    await space.put('a', Uint8Array.of(1));
    const [path = ''] = segmentPaths(disk);
    const at = fileOn(disk, path).length;
    await space.put('b', Uint8Array.of(2));
    await space.put('c', Uint8Array.of(3));
    for (const offset of [0, 5, 13, 20, 30, 50, 80, 120]) {
      const crashed = disk.clone();
      crashed.tamper(path, flipped(fileOn(disk, path), at + offset));
      await expectRefused(crashed, 'STORE_SEGMENT_DAMAGED');
    }
  });
});

describe('the header', () => {
  it('gives store id and unlock field without the key, and verifies a key', async () => {
    const disk = new SimulatedDisk();
    const unlock = Uint8Array.of(1, 2, 3);
    const store = await SealedStore.create(
      storeOptions(disk, { unlock, storeId: new Uint8Array(16).fill(9) }),
    );
    const header = await readStoreHeader(disk, STORE_PATH);
    expect([header.storeId, header.unlock]).toEqual([store.storeId, unlock]);
    expect([storeKeyMatches(header, storeKeyOf(7)), storeKeyMatches(header, storeKeyOf(8))]).toEqual([
      true,
      false,
    ]);
    expect(encodeStoreHeader(header.storeId, unlock, storeKeyOf(7)).bytes).toEqual(header.bytes);
    await store.close();
  });
});
