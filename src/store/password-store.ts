import { concatBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { type RandomSource, systemRandom } from '../crypto/random.ts';
import type { FileSystem } from '../disk/file-system.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { BackupReport, BackupSink } from './api/backup-api.ts';
import { STORE_KEY_BYTES } from './api/limits.ts';
import { PASSWORD_HEADER_BYTES, unwrapStoreKey, wrapStoreKey } from './keys/password.ts';
import { readStoreHeader } from './keys/store-header.ts';
import { ReadOnlyStore } from './read-only-store.ts';
import { SealedStore } from './sealed-store.ts';

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
  const storeKey = SecretBytes.adopt(random(STORE_KEY_BYTES));
  try {
    const unlock = await wrapStoreKey(storeKey, password, { random });
    return await SealedStore.create({ fileSystem, path, storeKey, unlock, random });
  } finally {
    storeKey.wipe();
  }
}

/**
 * Runs something with the store key that the password opens, and wipes it.
 * @throws EvidenceError STORE_PASSWORD_HEADER when the store is not one that a password opens, STORE_PASSWORD_WRONG,
 *   and those of a store that is missing or damaged.
 */
export async function withPasswordKey<T>(
  { path, password, fileSystem }: PasswordPlace,
  use: (storeKey: SecretBytes, unlock: Uint8Array) => Promise<T>,
): Promise<T> {
  const { unlock } = await readStoreHeader(fileSystem, path);
  const storeKey = await unwrapStoreKey(unlock, password);
  try {
    return await use(storeKey, unlock);
  } finally {
    storeKey.wipe();
  }
}

/** Opens a store by its password. @throws what {@link withPasswordKey} and {@link SealedStore.open} throw. */
export function openPasswordStore(place: PasswordPlace): Promise<SealedStore> {
  const { fileSystem, path } = place;
  return withPasswordKey(place, (storeKey) => SealedStore.open({ fileSystem, path, storeKey }));
}

/** Reads a store by its password, also while another process has it open. */
export function readPasswordStore(place: PasswordPlace): Promise<ReadOnlyStore> {
  return withPasswordKey(place, (storeKey) => ReadOnlyStore.open(place.fileSystem, place.path, storeKey));
}

/**
 * Backs a store up, also while another process has it open. The password header goes in front of the sealed backup, so
 * that file and password are all that restoring needs.
 */
export function backupPasswordStore(place: PasswordPlace, sink: BackupSink): Promise<BackupReport> {
  return withPasswordKey(place, async (storeKey, unlock) => {
    const store = await ReadOnlyStore.open(place.fileSystem, place.path, storeKey);
    try {
      await sink(unlock);
      return await store.backup(sink);
    } finally {
      await store.close();
    }
  });
}

/**
 * Makes a store in a new or empty folder out of what {@link backupPasswordStore} wrote, under the same password.
 * @throws EvidenceError STORE_BACKUP_TRUNCATED, STORE_PASSWORD_HEADER, STORE_PASSWORD_WRONG, and what
 *   {@link SealedStore.restore} throws; then there is no store.
 */
export async function restorePasswordStore(
  { path, password, fileSystem }: PasswordPlace,
  backup: AsyncIterable<Uint8Array>,
): Promise<BackupReport> {
  const { head: unlock, rest } = await splitHead(backup, PASSWORD_HEADER_BYTES);
  const storeKey = await unwrapStoreKey(unlock, password);
  try {
    return await SealedStore.restore({ fileSystem, path, storeKey, unlock, source: rest });
  } finally {
    storeKey.wipe();
  }
}

async function splitHead(
  source: AsyncIterable<Uint8Array>,
  headBytes: number,
): Promise<{ readonly head: Uint8Array; readonly rest: AsyncIterable<Uint8Array> }> {
  const chunks = source[Symbol.asyncIterator]();
  let seen = new Uint8Array(0);
  while (seen.length < headBytes) {
    const { done, value } = await chunks.next();
    if (done) {
      throw new EvidenceError('STORE_BACKUP_TRUNCATED', 'the backup ends inside its password header', {
        expected: `at least ${headBytes} bytes`,
        observed: `${seen.length} bytes`,
      });
    }
    seen = new Uint8Array(concatBytes(seen, value));
  }
  async function* rest(): AsyncGenerator<Uint8Array> {
    yield seen.subarray(headBytes);
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  }
  return { head: copyBytes(seen.subarray(0, headBytes)), rest: rest() };
}
