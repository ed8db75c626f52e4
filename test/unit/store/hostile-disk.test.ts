import { describe, expect, it } from 'vitest';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { contentOf, fileOn, filledDisk, segmentPaths, storeOptions } from '../../support/store-on-disk.ts';

const erasable = ['secret-space'];

describe('a hostile disk', () => {
  it('cannot flip any bit: the store is refused with a code, or unchanged', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    await (await store.namespace('plain-space')).put('first', Uint8Array.of(1, 2, 3));
    await (await store.namespace('secret-space', { erasable: true })).put('second', Uint8Array.of(4));
    const content = await contentOf(store, erasable);
    await store.close();
    const harmless: string[] = [];
    for (const [path, bytes] of disk.files()) {
      for (let at = 0; at < bytes.length; at += 1) {
        const trial = disk.clone();
        trial.tamper(path, bytes.with(at, (bytes[at] ?? 0) ^ (1 << (at % 8))));
        try {
          const opened = await SealedStore.open(storeOptions(trial));
          expect(await contentOf(opened, erasable)).toEqual(content);
          await opened.close();
          harmless.push(`${path} ${at}`);
        } catch (error) {
          expect(error).toBeInstanceOf(LatchkeyError);
        }
      }
    }
    // Only the unused bytes behind a wrapped key carry nothing; see docs/store-format.md.
    expect(harmless.every((place) => place.includes('/keys-'))).toBe(true);
    expect(harmless).toHaveLength(128 - 72);
  });

  it('cannot alter a record under an open store', async () => {
    const disk = new SimulatedDisk();
    await filledDisk(disk, { segmentBytes: 100_000 });
    const store = await SealedStore.open(storeOptions(disk));
    const space = await store.namespace('plain-space');
    const path = '/store/segment-0000000001';
    const bytes = fileOn(disk, path);
    const reader = await disk.open(path, 'read-write');
    let refused = 0;
    for (let at = 128; at < bytes.length; at += 3) {
      await reader.write([Uint8Array.of((bytes[at] ?? 0) ^ 1)], at);
      await space.get('first-5').then(
        (value) => expect(value).toEqual(new Uint8Array(40).fill(6)),
        (error: LatchkeyError) => {
          expect(error.code).toBe('STORE_RECORD_DAMAGED');
          refused += 1;
        },
      );
      await reader.write([bytes.slice(at, at + 1)], at);
    }
    expect(refused).toBeGreaterThan(30);
    await reader.close();
    await store.close();
  });

  it('cannot use up memory by very long files, or by the length field of a frame', async () => {
    const disk = new SimulatedDisk();
    const content = await filledDisk(disk);
    const read: number[] = [];
    const sizes = new Map<string, number>();
    const stat = disk.stat.bind(disk);
    const openFile = disk.open.bind(disk);
    disk.stat = async (path) => {
      const found = await stat(path);
      return found === undefined ? undefined : { ...found, size: sizes.get(path) ?? found.size };
    };
    disk.open = async (path, mode) => {
      const handle = await openFile(path, mode);
      const size = handle.size.bind(handle);
      const readSync = handle.readSync.bind(handle);
      return Object.assign(handle, {
        size: async () => sizes.get(path) ?? (await size()),
        readSync: (into: Uint8Array, position: number) => {
          read.push(into.length);
          const there = readSync(into, position);
          if (!sizes.has(path)) return there;
          into.fill(0, there);
          return into.length;
        },
      });
    };
    const open = () => SealedStore.open(storeOptions(disk));

    sizes.set('/store/keys-0000000001', 2 ** 31);
    const store = await open();
    expect(await contentOf(store, erasable)).toEqual(content);
    await store.close();
    sizes.clear();

    sizes.set('/store/MANIFEST', 2 ** 31);
    await expect(open()).rejects.toMatchObject({ code: 'STORE_MANIFEST_DAMAGED' });
    sizes.clear();

    const last = segmentPaths(disk).at(-1) ?? '';
    const claim = Buffer.alloc(72);
    claim.write('LKf1');
    claim.writeUInt32BE(2 ** 28, 12);
    disk.tamper(last, Buffer.concat([fileOn(disk, last), claim]));
    sizes.set(last, 2 ** 28 + 100_000);
    await open().then(
      (opened) => opened.close(),
      () => undefined,
    );
    expect(Math.max(...read)).toBeLessThan(2 ** 23);
  });

  it('contains no readable name, value or key in any file', async () => {
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const store = await SealedStore.open(storeOptions(disk));
    const parts: Uint8Array[] = [...disk.files().values()];
    await store.backup(async (bytes) => void parts.push(bytes.slice()));
    await store.close();
    const secrets = ['plain-space', 'secret-space', 'first-', 'second-'].map((text) => Buffer.from(text));
    for (const byte of [1, 0x44, 101, 7]) secrets.push(Buffer.alloc(10, byte));
    for (const part of parts)
      for (const secret of secrets) expect(Buffer.from(part).includes(secret)).toBe(false);
  });
});
