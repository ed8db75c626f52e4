import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeFileSystem } from '../../../src/disk/node-file-system.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { storeKeyOf } from '../../support/store-on-disk.ts';

let folder: string;
let path: string;
let elsewhere: string;
const content = 'a file of somebody else, which must stay as it is';

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-irregular-'));
  path = join(folder, 'store');
  elsewhere = join(folder, 'elsewhere');
  writeFileSync(elsewhere, content);
  const store = await SealedStore.create({ path, storeKey: storeKeyOf(7), segmentBytes: 1000 });
  const space = await store.namespace('plain');
  const secret = await store.namespace('secret', { erasable: true });
  for (let turn = 0; turn < 8; turn += 1) {
    await space.put(`name-${turn}`, new Uint8Array(200));
    await secret.put(`name-${turn}`, new Uint8Array(200));
  }
  await store.close();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = () => SealedStore.open({ path, storeKey: storeKeyOf(7) });

function run(program: string, ...words: readonly string[]): undefined {
  execFileSync(program, words);
  return undefined;
}

/** Makes a file name something else, and gives what ends it. */
const plants: Readonly<Record<string, (name: string) => (() => void) | undefined>> = {
  'a symbolic link': (name) => {
    symlinkSync(elsewhere, name);
    return undefined;
  },
  'a symbolic link to the file that was there': (name) => {
    symlinkSync(`${name}.aside`, name);
    return undefined;
  },
  'a hard link': (name) => {
    linkSync(elsewhere, name);
    return undefined;
  },
  'a pipe': (name) => run('mkfifo', name),
  'a folder': (name) => run('mkdir', name),
  'a socket': (name) => {
    const server = createServer().listen(name);
    return () => void server.close();
  },
  'a device': (name) => run('mknod', name, 'c', '1', '3'),
};

function canMakeDevices(): boolean {
  const probe = mkdtempSync(join(tmpdir(), 'latchkey-mknod-'));
  try {
    execFileSync('mknod', [join(probe, 'null'), 'c', '1', '3'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(probe, { recursive: true });
  }
}

/** The files that opening reads or writes: it must refuse, or go on without them. */
const filesOfStore = [
  'MANIFEST',
  'segment-0000000001',
  'keys-0000000001',
  'last segment',
  'LOCK',
  'LOCK.1',
  'MANIFEST.new',
  'segment-0000000999',
  'keys-0000000999',
  'RESTORING',
  'REPAIRING',
];

describe.each(Object.keys(plants))('%s instead of a file', (kind) => {
  const plant = plants[kind];
  it.skipIf(plant === undefined || (kind === 'a device' && !canMakeDevices())).each(filesOfStore)(
    'at the path of %s neither redirects nor blocks an opening',
    async (file) => {
      const last = readdirSync(path)
        .filter((name) => name.startsWith('segment-'))
        .sort()
        .at(-1);
      const name = join(path, file === 'last segment' ? (last ?? '') : file);
      if (existsSync(name)) renameSync(name, `${name}.aside`);
      const end = plant?.(name);
      const opened = await open().then(
        (store) => store,
        (error: unknown) => error,
      );
      if (opened instanceof SealedStore) {
        await (await opened.namespace('plain')).put('after', new Uint8Array(10));
        await opened.close();
      } else expect(opened).toBeInstanceOf(LatchkeyError);
      end?.();
      expect(readFileSync(elsewhere, 'utf8')).toBe(content);
      const isNeeded = /^(MANIFEST|segment-0000000001|keys-0000000001|last segment)$/.test(file);
      if (isNeeded) expect(opened).not.toBeInstanceOf(SealedStore);
      // A socket that listens in the place of a lock is a lock: then another process has the store.
      else if (file === 'LOCK.1' && kind === 'a socket')
        expect(opened).toMatchObject({ code: 'STORE_LOCKED' });
      else if (file.startsWith('LOCK')) expect(opened).toBeInstanceOf(SealedStore);
    },
  );
});

describe('a guarded opening', () => {
  it('reports the type of an entry that is not a regular file', async () => {
    const manifest = join(path, 'MANIFEST');
    renameSync(manifest, `${manifest}.aside`);
    symlinkSync(`${manifest}.aside`, manifest);
    await expect(open()).rejects.toMatchObject({
      code: 'STORE_FILE_IRREGULAR',
      observed: 'a symbolic link',
      field: manifest,
    });
  });

  it('refuses to write a file with a second hard link, and may read it', async () => {
    const name = join(folder, 'second');
    linkSync(elsewhere, name);
    await expect(nodeFileSystem.open(name, 'read-write')).rejects.toMatchObject({
      code: 'STORE_FILE_IRREGULAR',
    });
    await (await nodeFileSystem.open(name, 'read')).close();
  });

  it('follows a link to a folder, and refuses a link to a file', async () => {
    symlinkSync(path, join(folder, 'link'));
    symlinkSync(elsewhere, join(folder, 'file-link'));
    expect(await nodeFileSystem.stat(join(folder, 'link'))).toMatchObject({ kind: 'directory' });
    expect(await nodeFileSystem.stat(join(folder, 'file-link'))).toMatchObject({ kind: 'other' });
    expect(await nodeFileSystem.stat(join(folder, 'nothing'))).toBe(undefined);
  });
});

describe('a folder that is replaced under an open store', () => {
  it('gets none of the acknowledged writes of that store', async () => {
    const store = await open();
    const space = await store.namespace('plain');
    execFileSync('cp', ['-r', path, join(folder, 'copy')]);
    renameSync(path, join(folder, 'old'));
    renameSync(join(folder, 'copy'), path);
    await space.put('acknowledged', Uint8Array.of(1));
    await store.close().catch(() => undefined);
    rmSync(path, { recursive: true });
    renameSync(join(folder, 'old'), path);
    const again = await open();
    expect(await (await again.namespace('plain')).get('acknowledged')).toEqual(Uint8Array.of(1));
    await again.close();
  });

  it('is detected before a new segment or manifest is written into it', async () => {
    const store = await SealedStore.open({ path, storeKey: storeKeyOf(7), segmentBytes: 400 });
    const space = await store.namespace('plain');
    const copy = join(folder, 'copy');
    execFileSync('cp', ['-r', path, copy]);
    renameSync(path, join(folder, 'old'));
    renameSync(copy, path);
    const listed = () => readdirSync(path).sort();
    const before = { names: listed(), manifest: readFileSync(join(path, 'MANIFEST')) };
    const results = [];
    for (let turn = 0; turn < 6; turn += 1)
      results.push(await space.put(`more-${turn}`, new Uint8Array(300)).catch((error: unknown) => error));
    expect(results).toContainEqual(expect.objectContaining({ code: 'STORE_WRITE_FAILED' }));
    await store.close();
    expect({ names: listed(), manifest: readFileSync(join(path, 'MANIFEST')) }).toEqual(before);
  });
});
