import { copyBytes } from '../../bytes/copy-bytes.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { inFolder, removeFile, requireInPlace, shredFile } from '../files/files.ts';
import { KEY_PLACE_BYTES, keysFileName, mostKeysBytes, NamespaceKeys } from '../keys/namespace-keys.ts';
import { encodeStoreHeader } from '../keys/store-header.ts';
import { RecordKeys } from '../keys/store-keys.ts';
import { isUnknown, type StoreKeys, type StoreState } from '../store-state.ts';

/**
 * Changes the store key: when this resolves, only the new key opens the store, new records are sealed under it, and
 * the wrapped keys of namespaces are wrapped under it. The keys of the records written before are kept in the sealed
 * manifest until compaction has sealed the last of them under the new keys. Writes wait for a few syncs only.
 * @param unlock the header's present unlock field stays where none is given.
 * @throws RangeError when key or unlock field has an impossible length.
 */
export async function rotateStoreKey(
  state: StoreState,
  newKey: SecretBytes,
  unlock: Uint8Array | undefined,
): Promise<void> {
  const wanted = unlock === undefined ? undefined : copyBytes(unlock, 'unlock');
  const storeKey = new SecretBytes(newKey.reveal());
  try {
    // A wrong length is misuse by the caller, and must not be reported as a failing disk.
    encodeStoreHeader(state.storeId, wanted ?? state.keys.header.unlock, storeKey);
    await state.commit.exclusively(() => rotate(state, storeKey, wanted ?? state.keys.header.unlock));
  } catch (error) {
    if (state.keys.storeKey !== storeKey) storeKey.wipe();
    throw error;
  }
}

async function rotate(state: StoreState, storeKey: SecretBytes, unlock: Uint8Array): Promise<void> {
  const before = state.keys;
  const current = RecordKeys.of(before.current.version + 1, storeKey);
  const namespaceKeys = await rewrap(state, current).catch((error: unknown) => {
    current.wipe();
    throw error;
  });
  const after: StoreKeys = {
    header: encodeStoreHeader(state.storeId, unlock, storeKey),
    storeKey,
    current,
    old: [...before.old, before.current],
    generation: before.generation + 1,
    namespaceKeys,
  };
  try {
    // Until the manifest is durable, heads, backups and compaction go on under the keys that the disk has.
    await state.roll(after);
  } catch (error) {
    current.wipe();
    await state.closeQuietly(namespaceKeys);
    // After a failed rename the new key may be the only one that opens the store, and its files must stay.
    if (!isUnknown(error)) await shredKeys(state, namespaceKeys.path).catch(() => undefined);
    throw error;
  }
  before.storeKey.wipe();
  await state.closeQuietly(before.namespaceKeys);
  // An orphan is removed by the next opening, should this fail.
  if (before.namespaceKeys !== undefined)
    await shredKeys(state, before.namespaceKeys.path).catch(() => undefined);
}

/** Only in the folder that is open: another store in its place has keys files of the same names. */
async function shredKeys({ fileSystem, folder, lock, namespaces }: StoreState, path: string): Promise<void> {
  await requireInPlace(lock, folder);
  await shredFile(fileSystem, path, mostKeysBytes(namespaces.nextId));
}

/** Wraps the keys of all living erasable namespaces under the new keys, into a new file at the same places. */
async function rewrap(state: StoreState, keys: RecordKeys): Promise<NamespaceKeys> {
  await requireInPlace(state.lock, state.folder);
  const number = state.namespaceKeys.number + 1;
  const path = inFolder(state.folder, keysFileName(number));
  await removeFile(state.fileSystem, path);
  const handle = await state.fileSystem.open(path, 'create');
  const wrapping = { wrapping: keys.records, storeId: state.storeId, random: state.tuning.random };
  const spaces = [...state.namespaces.all()].filter(({ keyPlace }) => keyPlace !== undefined);
  const places = spaces.reduce((most, { keyPlace = 0 }) => Math.max(most, keyPlace + 1), 0);
  const bytes = new Uint8Array(places * KEY_PLACE_BYTES);
  const rewrapped = new NamespaceKeys({ path, number, handle }, bytes, wrapping);
  for (const { id, keyPlace } of spaces) {
    const key = keyPlace === undefined ? undefined : state.namespaceKeys.open(keyPlace, id);
    if (key === undefined || keyPlace === undefined) continue;
    rewrapped.place(keyPlace, id, key);
    key.fill(0);
  }
  try {
    await rewrapped.save();
    return rewrapped;
  } catch (error) {
    await state.closeQuietly(handle);
    await shredKeys(state, path).catch(() => undefined);
    throw error;
  }
}
