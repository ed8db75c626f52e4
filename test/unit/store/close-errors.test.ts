import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { FileHandle, FileSystem } from '../../../src/disk/file-system.ts';
import { createNodeFileSystem } from '../../../src/disk/node-file-system.ts';
import type { StoreFault } from '../../../src/store/api/health.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { systemError } from '../../support/disk-errors.ts';
import { openStore } from '../../support/disk-store.ts';

const key = (byte: number) => new SecretBytes(new Uint8Array(32).fill(byte));
const newPath = () => `${mkdtempSync(`${tmpdir()}/latchkey-`)}/store`;

/** The real file system, on which giving back a descriptor reports an error, as NFS, FUSE and quotas do. */
function failingDisk(call: 'settle' | 'close', file: RegExp) {
  const real = createNodeFileSystem(64);
  const state = { fails: false };
  const fail = (path: string) => {
    if (state.fails && file.test(path)) throw systemError('EIO', 'close', path);
  };
  const disk: FileSystem = {
    ...real,
    async open(path, mode, options): Promise<FileHandle> {
      const handle = await real.open(path, mode, options);
      const original = handle[call]?.bind(handle);
      handle[call] = async () => {
        await original?.();
        fail(path);
      };
      return handle;
    },
  };
  return { disk, state };
}

describe('a close that reports an error', () => {
  for (const [call, file] of [
    ['settle', /segment-/],
    ['close', /keys-/],
  ] as const)
    it(`of a ${call === 'settle' ? 'finished segment' : 'keys file'} does not undo a change of the store key`, async () => {
      const path = newPath();
      const { disk, state } = failingDisk(call, file);
      const told: StoreFault[] = [];
      const observer = { closeFailed: (fault: StoreFault) => void told.push(fault) };
      const options = { fileSystem: disk, path, storeKey: key(1), compaction: 'manual', observer } as const;
      const store = await SealedStore.create(options);
      const space = await store.namespace('secret', { erasable: true });
      await space.put('name', Uint8Array.of(42));
      state.fails = true;
      await store.rotateStoreKey(key(2));
      expect(told.map(({ error }) => error.code)).toEqual(['STORE_WRITE_FAILED']);
      expect((await store.health()).takesWrites).toBe(true);
      expect((await store.health()).lastDiskFault).toEqual(told[0]);
      state.fails = false;
      await store.close();
      const again = await openStore(disk, path, key(2));
      expect(await (await again.namespace('secret', { erasable: true })).get('name')).toEqual(
        Uint8Array.of(42),
      );
      await again.close();
    });

  it('does not keep the store from giving back its lock and wiping its keys, and is thrown at the end', async () => {
    const path = newPath();
    const { disk, state } = failingDisk('close', /segment-/);
    const store = await SealedStore.create({ fileSystem: disk, path, storeKey: key(1) });
    state.fails = true;
    await expect(store.close()).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED' });
    state.fails = false;
    const again = await openStore(disk, path, key(1));
    await again.close();
  });
});
