import { resolve } from 'node:path';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { FileSystem } from '../disk/file-system.ts';
import { nodeFileSystem } from '../disk/node-file-system.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { createPasswordStore, openPasswordStore, type PasswordPlace } from '../store/password-store.ts';
import { SealedStore } from '../store/sealed-store.ts';
import { Datastore, type DatastoreOptions } from './datastore.ts';
import { backupRituals, restoreRituals } from './ritual-backup.ts';

/** The secret that opens a store: the key itself, or the password under which its header keeps a random key. */
export type StoreAccess = { readonly storeKey: SecretBytes } | { readonly password: SecretBytes };

/** How {@link openDatastore} opens a datastore and its store. */
export type DatastorePlaceOptions = DatastoreOptions & { readonly fileSystem?: FileSystem };

/** A datastore together with the store that was opened for it. */
export interface OpenDatastore extends AsyncDisposable {
  readonly datastore: Datastore;
  readonly store: SealedStore;
  /** Closes the store; afterwards the datastore cannot be used. */
  close(): Promise<void>;
}

/**
 * Opens the datastore in a folder. Where the folder is missing or empty, its store is made first; a store that does
 * not open is never replaced.
 * @param path Folder of the store.
 * @throws EvidenceError STORE_WRONG_KEY, STORE_PASSWORD_WRONG and the like; then the folder is as it was.
 */
export async function openDatastore(
  path: string,
  access: StoreAccess,
  { fileSystem = nodeFileSystem, ...options }: DatastorePlaceOptions = {},
): Promise<OpenDatastore> {
  const place = { path: resolve(path), fileSystem };
  return withDatastore(await openOrCreate(place, access), options);
}

/**
 * Makes the store of a backup in a missing or empty folder, and opens the datastore on it. Everything is verified
 * before there is a store.
 * @param from File that {@link backupDatastore} or `latchkey rituals backup` wrote.
 * @throws EvidenceError STORE_BACKUP_INVALID, STORE_PASSWORD_WRONG, STORE_EXISTS, STORE_PLACE_NOT_EMPTY and the like.
 */
export async function restoreDatastore(
  from: string,
  path: string,
  { password }: { readonly password: SecretBytes },
  { fileSystem = nodeFileSystem, ...options }: DatastorePlaceOptions = {},
): Promise<OpenDatastore> {
  const place: PasswordPlace = { path: resolve(path), password, fileSystem };
  await restoreRituals(resolve(from), place);
  return withDatastore(await openPasswordStore(place), options);
}

/**
 * Writes a sealed backup of a datastore that a password opens to a file, while it is in use. The file replaces an
 * older one only when it is complete and durable.
 * @param path Folder of the store.
 * @throws ProblemError of the disk.
 */
export async function backupDatastore(
  { store }: Pick<OpenDatastore, 'store'>,
  path: string,
  to: string,
  fileSystem: FileSystem = nodeFileSystem,
): Promise<void> {
  await backupRituals(store, { path: resolve(path), fileSystem }, resolve(to));
}

async function openOrCreate(
  place: { readonly path: string; readonly fileSystem: FileSystem },
  access: StoreAccess,
): Promise<SealedStore> {
  const isPassword = 'password' in access;
  try {
    return await (isPassword
      ? openPasswordStore({ ...place, ...access })
      : SealedStore.open({ ...place, ...access }));
  } catch (error) {
    if (!(error instanceof LatchkeyError && error.code === 'STORE_NOT_FOUND')) throw error;
    return isPassword
      ? createPasswordStore({ ...place, ...access })
      : SealedStore.create({ ...place, ...access });
  }
}

async function withDatastore(store: SealedStore, options: DatastoreOptions): Promise<OpenDatastore> {
  try {
    const datastore = await Datastore.initialize(store, options);
    const close = (): Promise<void> => store.close();
    return { datastore, store, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await store.close();
    throw error;
  }
}
