import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileSystem } from '../../../src/disk/file-system.ts';
import { createNodeFileSystem } from '../../../src/disk/node-file-system.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { segmentPaths, storeKeyOf, storeOptions } from '../../support/store-on-disk.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-descriptors-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Descriptors of this process, by the name of the segment file that they have open. */
function openSegments(path: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${descriptor}`);
      return target.startsWith(join(path, 'segment-')) ? [target] : [];
    } catch {
      // The descriptor of this listing itself is gone by now.
      return [];
    }
  });
}

const value = (index: number) => new Uint8Array(600).fill(index);

/** A closed store of about this many segments. */
async function storeOf(segments: number, path: string): Promise<void> {
  const store = await SealedStore.create({
    path,
    storeKey: storeKeyOf(7),
    segmentBytes: 500,
    roomBytes: 0,
    compaction: 'manual',
  });
  const space = await store.namespace('n');
  for (let index = 0; index < segments; index += 1) await space.put(`name-${index}`, value(index));
  expect(store.stat().segments).toBeGreaterThanOrEqual(segments - 1);
  await store.close();
}

describe('the open files of a store', () => {
  it('are one descriptor for each finished segment and two for the current segment', async () => {
    const path = join(folder, 'store');
    const options = { path, storeKey: storeKeyOf(7), segmentBytes: 500, roomBytes: 0 } as const;
    const store = await SealedStore.create({ ...options, compaction: 'manual' });
    const space = await store.namespace('n');
    for (let index = 0; index < 10; index += 1) await space.put(`name-${index}`, value(index));
    expect(openSegments(path)).toHaveLength(store.stat().segments + 1);
    await store.compact();
    expect(openSegments(path)).toHaveLength(store.stat().segments + 1);
    await store.close();
    const again = await SealedStore.open({ ...options, compaction: 'manual' });
    expect(openSegments(path)).toHaveLength(again.stat().segments + 1);
    await again.close();
    expect(openSegments(path)).toEqual([]);
  });

  it('are bounded: a store with more segments than descriptors opens, reads, compacts and closes', async () => {
    const path = join(folder, 'store');
    await storeOf(40, path);
    const fileSystem = createNodeFileSystem(8);
    const store = await SealedStore.open({ path, storeKey: storeKeyOf(7), fileSystem, compaction: 'manual' });
    expect(openSegments(path).length).toBeLessThanOrEqual(8 + 2);
    const space = await store.namespace('n');
    for (let turn = 0; turn < 2; turn += 1) {
      for (let index = 0; index < 40; index += 1) {
        expect(await space.get(`name-${index}`)).toEqual(value(index));
        expect(openSegments(path).length).toBeLessThanOrEqual(8 + 2);
      }
    }
    await store.compact();
    for (let index = 0; index < 40; index += 1)
      expect(await space.get(`name-${index}`)).toEqual(value(index));
    await store.close();
    expect(openSegments(path)).toEqual([]);
  });

  it('are bounded while a compaction or a restore writes many segments', async () => {
    const path = join(folder, 'store');
    const other = join(folder, 'restored');
    const real = createNodeFileSystem(8);
    let most = 0;
    const fileSystem: FileSystem = {
      ...real,
      async open(...request) {
        const handle = await real.open(...request);
        most = Math.max(most, openSegments(path).length, openSegments(other).length);
        return handle;
      },
    };
    await storeOf(40, path);
    const options = { storeKey: storeKeyOf(7), segmentBytes: 500, fileSystem, compaction: 'manual' } as const;
    const store = await SealedStore.open({ ...options, path });
    await store.compact();
    const chunks: Uint8Array[] = [];
    await store.backup(async (bytes) => void chunks.push(new Uint8Array(bytes)));
    await store.close();
    // The pool, and two each for the segment of the log and the one being written.
    expect(most).toBeGreaterThan(8);
    expect(most).toBeLessThanOrEqual(8 + 4);

    most = 0;
    await SealedStore.restore({ ...options, path: other, source: Readable.from(chunks) });
    expect(most).toBeGreaterThan(8);
    expect(most).toBeLessThanOrEqual(8 + 4);

    const { segments } = await SealedStore.open({ ...options, path: other }).then(async (restored) => {
      const stat = restored.stat();
      for (let index = 0; index < 40; index += 1)
        expect(await (await restored.namespace('n')).get(`name-${index}`)).toEqual(value(index));
      await restored.close();
      return stat;
    });
    expect(segments).toBeGreaterThanOrEqual(39);
    expect(most).toBeLessThanOrEqual(8 + 4);
  });

  it('do not follow a name that leads to another file meanwhile', async () => {
    const path = join(folder, 'store');
    await storeOf(20, path);
    const fileSystem = createNodeFileSystem(4);
    const store = await SealedStore.open({ path, storeKey: storeKeyOf(7), fileSystem, compaction: 'manual' });
    const space = await store.namespace('n');
    const first = join(path, 'segment-0000000001');
    const closed = readdirSync(path)
      .filter((name) => name.startsWith('segment-'))
      .map((name) => join(path, name))
      .filter((name) => !openSegments(path).includes(name));
    expect(closed).toContain(first);
    copyFileSync(first, join(folder, 'copy'));
    renameSync(join(folder, 'copy'), first);
    await expect(space.get('name-0')).rejects.toMatchObject({
      code: 'STORE_READ_FAILED',
      observed: 'ESTALE',
    });
    await store.close();
  });

  it('fit into ulimit -n 128 with 251 segments', { timeout: 300_000 }, async () => {
    const path = join(folder, 'store');
    await storeOf(251, path);
    const module = fileURLToPath(new URL('../../../src/store/sealed-store.ts', import.meta.url));
    const secrets = fileURLToPath(new URL('../../../src/bytes/secret-bytes.ts', import.meta.url));
    const program = `import { SealedStore } from ${JSON.stringify(module)};
      import { SecretBytes } from ${JSON.stringify(secrets)};
      const storeKey = new SecretBytes(new Uint8Array(32).fill(7));
      const store = await SealedStore.open({ path: ${JSON.stringify(path)}, storeKey, compaction: 'manual' });
      const space = await store.namespace('n');
      let found = 0;
      for (const name of space.names()) found += (await space.get(name)).length;
      await space.put('after', new Uint8Array(600));
      await space.put('later', new Uint8Array(600));
      await store.close();
      process.stdout.write(String(found));`;
    const run = `ulimit -n 128; exec "$0" --import tsx --input-type=module -e "$1"`;
    const child = spawn('sh', ['-c', run, process.execPath, program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (part: Buffer) => {
      said += part.toString();
    });
    await once(child, 'close');
    expect(said).toBe(String(251 * 600));
  });
});

describe('a temporary lack of descriptors or memory', () => {
  it.each(['EMFILE', 'ENFILE', 'ENOMEM'])(
    '%s while a segment ends refuses the write, and later writes work',
    async (code) => {
      for (const short of ['create', 'open'] as const) {
        const disk = new SimulatedDisk();
        const store = await SealedStore.create(storeOptions(disk, { segmentBytes: 500 }));
        const space = await store.namespace('n');
        await space.put('first', value(1));
        disk.inject(({ kind }) => (kind === short || kind === 'create' ? { code } : undefined));
        for (let turn = 0; turn < 3; turn += 1)
          await expect(space.put('second', value(2))).rejects.toMatchObject({
            code: 'STORE_RESOURCES_SHORT',
            observed: code,
          });
        await expect(store.namespace('new', { erasable: true })).resolves.toBeDefined();
        expect((await store.health()).takesWrites).toBe(true);
        disk.inject(undefined);
        await space.put('second', value(2));
        expect((await store.health()).writeFault).toBe(undefined);
        await store.close();
        const again = await SealedStore.open(storeOptions(disk));
        expect(await (await again.namespace('n')).get('second')).toEqual(value(2));
        await again.close();
      }
    },
  );

  it('while opening has its own code, and opening can be retried', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    await store.close();
    disk.inject(({ kind }) => (kind === 'open' ? { code: 'EMFILE' } : undefined));
    await expect(SealedStore.open(storeOptions(disk))).rejects.toMatchObject({
      code: 'STORE_RESOURCES_SHORT',
    });
    disk.inject(undefined);
    await (await SealedStore.open(storeOptions(disk))).close();
  });

  it('ENOMEM of a write or a sync does not count as temporary', async () => {
    for (const failing of ['write', 'sync'] as const) {
      const disk = new SimulatedDisk();
      const store = await SealedStore.create(storeOptions(disk));
      const space = await store.namespace('n');
      disk.inject(({ kind }) => (kind === failing ? { code: 'ENOMEM' } : undefined));
      await expect(space.put('a', value(1))).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED' });
      expect((await store.health()).takesWrites).toBe(false);
    }
  });
});

describe('a refused write at the end of a segment', () => {
  it('leaves no file on a full disk after any number of attempts, and its number is used again', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk, { segmentBytes: 500 }));
    const space = await store.namespace('n');
    await space.put('first', value(1));
    const before = [...disk.files().keys()];
    for (let extra = 0; extra < 700; extra += 7) {
      disk.setCapacity(disk.usedBytes + extra);
      const failure = await space.put('second', value(2)).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure === undefined) expect.fail(`there was room with ${extra} bytes`);
      expect(failure).toMatchObject({ code: 'STORE_DISK_FULL' });
      // The new segment may have been begun; then this write of 600 bytes finds no room in it.
      if (store.stat().segments > 1) break;
      expect([...disk.files().keys()]).toEqual(before);
    }
    disk.setCapacity(undefined);
    await space.put('second', value(2));
    expect(segmentPaths(disk)).toEqual(['/store/segment-0000000001', '/store/segment-0000000002']);
    await store.close();
  });
});

describe('a sync that fails as if the disk were full', () => {
  const isFile = (name: RegExp) => (path: string) => name.test(path);
  it.each([
    ['of the keys file', isFile(/keys-/), (store: SealedStore) => store.namespace('s', { erasable: true })],
    [
      'of a new manifest',
      isFile(/MANIFEST\.new$/),
      (store: SealedStore) => store.rotateStoreKey(storeKeyOf(8)),
    ],
    ['of a new segment', isFile(/segment-0000000002$/), (store: SealedStore) => store.compact()],
    ['of the log', isFile(/segment-0000000001$/), (store: SealedStore) => store.namespace('s')],
  ] as const)('%s never counts as a full disk', async (_what, matches, act) => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    const space = await store.namespace('n');
    await space.put('a', value(1));
    disk.inject(({ kind, path }) => (kind === 'sync' && matches(path) ? { code: 'ENOSPC' } : undefined));
    await expect(act(store)).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED', observed: 'ENOSPC' });
    disk.inject(undefined);
    await expect(space.put('b', value(2))).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED' });
  });
});
