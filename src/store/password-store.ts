import { SecretBytes } from '../bytes/secret-bytes.ts';
import { type RandomSource, systemRandom } from '../crypto/random.ts';
import type { FileSystem } from '../disk/file-system.ts';
import { STORE_KEY_BYTES } from './limits.ts';
import { unwrapStoreKey, wrapStoreKey } from './password.ts';
import { SealedStore } from './sealed-store.ts';
import { readStoreHeader } from './store-header.ts';

/** A store that a password opens, for development and migration. */
export interface PasswordPlace {
  /** The store's folder, absolute. */
  readonly path: string;
  readonly password: SecretBytes;
  readonly fileSystem: FileSystem;
}

/**
 * Makes a store with a random key, which is kept in the store's header, wrapped under the password.
 * @throws what {@link SealedStore.create} throws.
 */
export async function createPasswordStore(
  { path, password, fileSystem }: PasswordPlace,
  random: RandomSource = systemRandom,
): Promise<SealedStore> {
  const storeKey = new SecretBytes(random(STORE_KEY_BYTES));
  try {
    const unlock = await wrapStoreKey(storeKey, password, { random });
    return await SealedStore.create({ fileSystem, path, storeKey, unlock, random });
  } finally {
    storeKey.wipe();
  }
}

/** Runs something with the store key that the password opens, and wipes it. */
export async function withPasswordKey<T>(
  { path, password, fileSystem }: PasswordPlace,
  use: (storeKey: SecretBytes) => Promise<T>,
): Promise<T> {
  const { unlock } = await readStoreHeader(fileSystem, path);
  const storeKey = await unwrapStoreKey(unlock, password);
  try {
    return await use(storeKey);
  } finally {
    storeKey.wipe();
  }
}

/**
 * Opens a store by its password.
 * @throws EvidenceError STORE_PASSWORD_HEADER when the store is not one that a password opens, STORE_PASSWORD_WRONG,
 *   and what {@link SealedStore.open} throws.
 */
export function openPasswordStore(place: PasswordPlace): Promise<SealedStore> {
  const { fileSystem, path } = place;
  return withPasswordKey(place, (storeKey) => SealedStore.open({ fileSystem, path, storeKey }));
}
