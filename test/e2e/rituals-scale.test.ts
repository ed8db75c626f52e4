import { join } from 'node:path';
import { expect, it } from 'vitest';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import type { FileHandle, FileSystem } from '../../src/disk/file-system.ts';
import { nodeFileSystem } from '../../src/disk/node-file-system.ts';
import { Datastore } from '../../src/rituals/datastore.ts';
import { KEYS_PER_BOX } from '../../src/rituals/key-box.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** `RITUALS=100000` for the full size; scripts/soak-rituals.ts measures it. */
const COUNT = Number(process.env['RITUALS'] ?? 10_000);
const SMALL = 1000;
const AT_ONCE = 250;
const bytes = (id: number): Uint8Array => Uint8Array.of(id & 255, (id >>> 8) & 255, id >>> 16);
const timeOf = (id: number): number => 1_000_000 - id;

/** The real file system, counting reads and durable writes. */
class CountingDisk {
  reads = 0;
  syncs = 0;

  readonly fileSystem: FileSystem = {
    ...nodeFileSystem,
    open: async (path, mode) => this.#count(await nodeFileSystem.open(path, mode)),
  };

  #count(handle: FileHandle): FileHandle {
    return {
      readSync: (into, position) => {
        this.reads += 1;
        return handle.readSync(into, position);
      },
      write: (parts, position) => handle.write(parts, position),
      sync: () => {
        this.syncs += 1;
        return handle.sync();
      },
      truncate: (length) => handle.truncate(length),
      size: () => handle.size(),
      close: () => handle.close(),
    };
  }
}

async function store(datastore: Datastore, from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += AT_ONCE) {
    const ids = Array.from({ length: Math.min(AT_ONCE, to - first) }, (_, index) => first + index);
    await Promise.all(ids.map((id) => datastore.storeFragment(id, timeOf(id), bytes(id))));
  }
}

it(`R4 ${COUNT} rituals on the sealed store: as few reads per lookup as among ${SMALL}`, async () => {
  await using folder = await tempFolder();
  const disk = new CountingDisk();
  const place = {
    fileSystem: disk.fileSystem,
    path: join(folder.path, 'store'),
    storeKey: new SecretBytes(new Uint8Array(32).fill(3)),
  };
  const lookUp = async (datastore: Datastore, ids: readonly number[]): Promise<number> => {
    const before = disk.reads;
    for (const id of ids)
      expect(await datastore.retrieveFragment(id)).toEqual({
        id,
        timestamp: timeOf(id),
        fragment: bytes(id),
      });
    return (disk.reads - before) / ids.length;
  };

  const sealed = await SealedStore.create(place);
  const first = await Datastore.initialize(sealed);
  await store(first, 0, SMALL);
  // The fragment, and its key.
  expect(await lookUp(first, [0, 1, 500, SMALL - 1])).toBe(2);
  const syncs = disk.syncs;
  await store(first, SMALL, COUNT);
  // Two for every box, and one for every group of writes that are under way together.
  const boxes = Math.ceil((COUNT - SMALL) / KEYS_PER_BOX) + 1;
  expect(disk.syncs - syncs).toBeLessThan(4 * boxes);
  await sealed.close();

  await using reopened = await SealedStore.open(place);
  const reads = disk.reads;
  const datastore = await Datastore.initialize(reopened);
  expect(datastore.count).toBe(COUNT);
  expect(await datastore.list({ limit: 2 })).toEqual(
    [COUNT - 1, COUNT - 2].map((id) => ({ id, timestamp: timeOf(id) })),
  );
  expect(await datastore.findExpired(timeOf(1))).toHaveLength(COUNT - 1);
  // Opening and listing read no fragment and no key.
  expect(disk.reads).toBe(reads);
  expect(await lookUp(datastore, [0, SMALL, COUNT >> 1, COUNT - 1])).toBe(2);
  expect(Math.abs(reopened.stat().namespaces - COUNT / KEYS_PER_BOX)).toBeLessThan(10);

  await datastore.deleteFragment(COUNT >> 1);
  await expect(datastore.retrieveFragment(COUNT >> 1)).rejects.toMatchObject({ code: 'RITUAL_NOT_FOUND' });
  expect(await lookUp(datastore, [(COUNT >> 1) - 1, (COUNT >> 1) + 1])).toBe(2);
}, 600_000);
