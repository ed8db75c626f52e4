import { describe, expect, it, vi } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { openManifest } from '../../../src/store/log/manifest.ts';
import { createStore, openStore, STORE_PATH } from '../../support/disk-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';

const key = (byte: number) => new SecretBytes(new Uint8Array(32).fill(byte));
const oldKeysOn = (disk: SimulatedDisk) =>
  openManifest(disk.files().get(`${STORE_PATH}/MANIFEST`) ?? new Uint8Array(0), key(2)).manifest.oldKeys
    .length;

/** A store with one record, whose background work goes on by itself. */
async function oneRecord() {
  const disk = new SimulatedDisk();
  await disk.mkdir('/data');
  const store = await createStore(disk, STORE_PATH, key(1), { roomBytes: 0 });
  await (await store.namespace('n')).put('name', Uint8Array.of(1));
  return { disk, store };
}

/** Lets all manifests find a full disk but for the first two: the new key's, and the rewritten segment's. */
function refuseThirdManifest(disk: SimulatedDisk): void {
  let manifests = 0;
  disk.inject(({ kind, path }) => {
    if (kind !== 'create' || !path.endsWith('MANIFEST.new')) return undefined;
    manifests += 1;
    return manifests > 2 ? { code: 'ENOSPC' } : undefined;
  });
}

describe('old record keys leave the disk', () => {
  it('by a later try, when the manifest without them finds a full disk at first', async () => {
    const { disk, store } = await oneRecord();
    refuseThirdManifest(disk);
    await store.rotateStoreKey(key(2));
    await store.settled();
    expect(oldKeysOn(disk)).toBe(1);
    expect((await store.health()).compactionFault?.error.code).toBe('STORE_DISK_FULL');
    disk.inject(undefined);
    await vi.waitFor(() => expect(oldKeysOn(disk)).toBe(0), 30_000);
    await store.settled();
    expect((await store.health()).compactionFault).toBeUndefined();
    await store.close();
  }, 60_000);

  it('when a store that could not drop them is opened again', async () => {
    const { disk, store } = await oneRecord();
    refuseThirdManifest(disk);
    await store.rotateStoreKey(key(2));
    await store.settled();
    await store.close();
    disk.inject(undefined);
    expect(oldKeysOn(disk)).toBe(1);
    const again = await openStore(disk, STORE_PATH, key(2), { roomBytes: 0 });
    await again.settled();
    expect(oldKeysOn(disk)).toBe(0);
    await again.close();
  });

  it('when the last snapshot ends that could still read records under them', async () => {
    const { disk, store } = await oneRecord();
    const snapshot = store.snapshot();
    await store.rotateStoreKey(key(2));
    await store.settled();
    expect(oldKeysOn(disk)).toBe(1);
    expect(await snapshot.namespace('n').get('name')).toEqual(Uint8Array.of(1));
    snapshot.release();
    await store.settled();
    expect(oldKeysOn(disk)).toBe(0);
    await store.close();
  });
});
