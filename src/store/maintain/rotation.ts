import { copyBytes } from '../../bytes/copy-bytes.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { SecretBytes as Secret } from '../../bytes/secret-bytes.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import { inFolder, removeFile, shredFile } from '../files/files.ts';
import { KEY_PLACE_BYTES, keysFileName, NamespaceKeys } from '../keys/namespace-keys.ts';
import { encodeStoreHeader } from '../keys/store-header.ts';
import { EpochKeys } from '../keys/store-keys.ts';
import type { StoreState } from '../store-state.ts';

/** What a rotation changes at once, and takes back when it fails. */
type KeyedParts = Pick<
  StoreState,
  'header' | 'storeKey' | 'keys' | 'oldEpochs' | 'generation' | 'namespaceKeys'
>;

const partsOf = (state: StoreState): KeyedParts => {
  const { header, storeKey, keys, oldEpochs, generation, namespaceKeys } = state;
  return { header, storeKey, keys, oldEpochs, generation, namespaceKeys };
};

/**
 * Changes the store key: when this resolves, only the new key opens the store, new records are sealed under it, and
 * the wrapped keys of namespaces are wrapped under it. The keys of the records written before are kept in the sealed
 * manifest until compaction has sealed the last of them anew. Writes wait for a few syncs only.
 * @param unlock the header's present unlock field stays where none is given.
 * @throws RangeError when key or unlock field has an impossible length.
 */
export async function rotateStoreKey(
  state: StoreState,
  newKey: SecretBytes,
  unlock: Uint8Array | undefined,
): Promise<void> {
  const wanted = unlock && copyBytes(unlock);
  const storeKey = new Secret(newKey.reveal());
  try {
    // A wrong length is a mistake of the caller's, and must not look like a failing disk.
    encodeStoreHeader(state.storeId, wanted ?? state.header.unlock, storeKey);
    await state.commit.exclusively(() => rotate(state, storeKey, wanted ?? state.header.unlock));
  } catch (error) {
    if (state.storeKey !== storeKey) storeKey.wipe();
    throw error;
  }
}

async function rotate(state: StoreState, storeKey: SecretBytes, unlock: Uint8Array): Promise<void> {
  const before = partsOf(state);
  const keys = EpochKeys.of(before.keys.epoch + 1, storeKey);
  const namespaceKeys = await rewrap(state, keys).catch((error: unknown) => {
    keys.wipe();
    throw error;
  });
  Object.assign(state, {
    header: encodeStoreHeader(state.storeId, unlock, storeKey),
    storeKey,
    keys,
    oldEpochs: [...before.oldEpochs, before.keys],
    generation: before.generation + 1,
    namespaceKeys,
  } satisfies KeyedParts);
  try {
    await state.roll();
  } catch (error) {
    // After a failed rename the new key may be the only one that opens the store, and its files must stay.
    const isUnknown = error instanceof LatchkeyError && error.code === 'STORE_WRITE_FAILED';
    if (!isUnknown) await takeBack(state, before);
    throw error;
  }
  before.storeKey.wipe();
  await before.namespaceKeys.close();
  // An orphan is removed by the next opening, should this fail.
  await shredFile(state.fileSystem, before.namespaceKeys.path).catch(() => undefined);
}

async function takeBack(state: StoreState, before: KeyedParts): Promise<void> {
  const { namespaceKeys, keys } = state;
  Object.assign(state, before);
  keys.wipe();
  await namespaceKeys.close();
  await shredFile(state.fileSystem, namespaceKeys.path).catch(() => undefined);
}

/** Writes the keys of all living erasable namespaces, wrapped anew, into a new file at the same places. */
async function rewrap(state: StoreState, keys: EpochKeys): Promise<NamespaceKeys> {
  const number = state.namespaceKeys.number + 1;
  const path = inFolder(state.folder, keysFileName(number));
  await removeFile(state.fileSystem, path);
  const handle = await state.fileSystem.open(path, 'create');
  const wrapping = { wrapping: keys.records, storeId: state.storeId, random: state.tuning.random };
  const spaces = [...state.namespaces.all()].filter(({ keySlot }) => keySlot !== undefined);
  const places = spaces.reduce((most, { keySlot = 0 }) => Math.max(most, keySlot + 1), 0);
  const bytes = new Uint8Array(places * KEY_PLACE_BYTES);
  const rewrapped = new NamespaceKeys({ path, number, handle }, bytes, wrapping);
  for (const { id, keySlot } of spaces) {
    const key = keySlot === undefined ? undefined : state.namespaceKeys.open(keySlot, id);
    if (key === undefined || keySlot === undefined) continue;
    rewrapped.place(keySlot, id, key);
    key.fill(0);
  }
  try {
    await rewrapped.save();
    return rewrapped;
  } catch (error) {
    await handle.close();
    await shredFile(state.fileSystem, path).catch(() => undefined);
    throw error;
  }
}
