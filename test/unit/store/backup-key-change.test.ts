import { expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { createStore } from '../../support/disk-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';

const key = (byte: number) => new SecretBytes(new Uint8Array(32).fill(byte));
const PATH = '/store';

/** A store of a little over two chunks of a backup. */
async function filledStore(disk: SimulatedDisk): Promise<SealedStore> {
  const store = await createStore(disk, PATH, key(1));
  const records = await store.namespace('records');
  for (let at = 0; at < 10; at += 1) await records.put(`r${at}`, new Uint8Array(250_000).fill(at));
  return store;
}

/** A sink that changes the store key when it gets the part of this number. */
function changingAt(store: SealedStore, part: number) {
  const parts: Uint8Array[] = [];
  const sink = async (bytes: Uint8Array): Promise<void> => {
    parts.push(new Uint8Array(bytes));
    if (parts.length === part) await store.rotateStoreKey(key(2));
  };
  return { parts, sink };
}

const restoreWith = (parts: readonly Uint8Array[], storeKey: SecretBytes) =>
  SealedStore.restore({
    fileSystem: new SimulatedDisk(),
    path: '/restored',
    storeKey,
    source: (async function* () {
      yield* parts;
    })(),
  }).then(
    () => 'restored',
    (error: { readonly code: string }) => error.code,
  );

it('a backup during which the store key changes fails, and no key restores what was written of it', async () => {
  for (const part of [1, 2, 3]) {
    const store = await filledStore(new SimulatedDisk());
    const { parts, sink } = changingAt(store, part);
    await expect(store.backup(sink)).rejects.toMatchObject({ code: 'STORE_BACKUP_KEY_CHANGED' });
    expect(parts).toHaveLength(part);
    expect(await restoreWith(parts, key(1))).toBe('STORE_BACKUP_TRUNCATED');
    expect(await restoreWith(parts, key(2))).toBe('STORE_WRONG_KEY');
    // The next one is whole.
    const again = changingAt(store, 0);
    await store.backup(again.sink);
    expect(await restoreWith(again.parts, key(2))).toBe('restored');
    await store.close();
  }
});

it('a backup of a part has a key of its own, and goes on', async () => {
  const store = await filledStore(new SimulatedDisk());
  const { parts, sink } = changingAt(store, 2);
  await store.backup(sink, { key: key(3), includes: () => true });
  expect(await restoreWith(parts, key(3))).toBe('restored');
  await store.close();
});
