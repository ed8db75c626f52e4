import { mkdtempSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { createNodeFileSystem } from '../../../src/disk/node-file-system.ts';
import type { SealedStore } from '../../../src/store/sealed-store.ts';
import { createStore, openStore } from '../../support/disk-store.ts';

const key = (byte: number) => new SecretBytes(new Uint8Array(32).fill(byte));
const disk = createNodeFileSystem(64);
const tuning = { compaction: 'manual', segmentBytes: 4096 } as const;

/** Two stores whose files have the same names: one stays open, the other one is closed. */
async function twoStores(): Promise<{ root: string; store: SealedStore }> {
  const root = mkdtempSync(`${tmpdir()}/latchkey-`);
  const other = await createStore(disk, `${root}/other`, key(1), tuning);
  const secret = await other.namespace('secret', { erasable: true });
  for (let at = 0; at < 20; at += 1) await secret.put(`name ${at}`, new Uint8Array(1000).fill(at));
  // Its keys file gets the name that a change of the store key in the open store would use.
  await other.rotateStoreKey(key(2));
  await other.close();
  const store = await createStore(disk, `${root}/db`, key(3), tuning);
  const space = await store.namespace('mine', { erasable: true });
  for (let at = 0; at < 20; at += 1) await space.put('a', new Uint8Array(1000).fill(at));
  return { root, store };
}

/** Puts the other store in the place of the open one. @returns what is in the files of the other store. */
function swap(root: string): () => Map<string, string> {
  renameSync(`${root}/db`, `${root}/old`);
  renameSync(`${root}/other`, `${root}/db`);
  return () => {
    const names = readdirSync(`${root}/db`).filter((name) => /^(segment|keys|MANIFEST)/.test(name));
    return new Map(names.sort().map((name) => [name, readFileSync(`${root}/db/${name}`, 'hex')]));
  };
}

describe('another store that is put in the place of an open one loses no file', () => {
  it('to a change of the store key', async () => {
    const { root, store } = await twoStores();
    const files = swap(root);
    const before = files();
    await expect(store.rotateStoreKey(key(4))).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED' });
    await store.close();
    expect(files()).toEqual(before);
  });

  it('to an opening whose judge took so long that the folder was replaced meanwhile', async () => {
    const { root, store } = await twoStores();
    await store.compact();
    await store.close();
    let files = () => new Map<string, string>();
    const admit = {
      sequences: [],
      judge: () => {
        files = swap(root);
        before = files();
      },
    };
    let before = files();
    await expect(openStore(disk, `${root}/db`, key(3), { ...tuning, admit })).rejects.toMatchObject({
      code: 'STORE_WRITE_FAILED',
    });
    expect(before.size).toBeGreaterThan(3);
    expect(files()).toEqual(before);
  });

  it('to a snapshot that ends after its segments were compacted', async () => {
    const { root, store } = await twoStores();
    const snapshot = store.snapshot();
    await store.compact();
    const files = swap(root);
    const before = files();
    snapshot.release();
    await store.settled();
    await store.close();
    expect(files()).toEqual(before);
  });
});
