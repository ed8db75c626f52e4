import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { nodeFileSystem } from '../../disk/node-file-system.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import type { Namespace } from '../../store/api/store-api.ts';
import { MAX_PASSWORD_BYTES, passwordFromFile } from '../../store/keys/password.ts';
import { openPasswordStore, type PasswordPlace, readPasswordStore } from '../../store/password-store.ts';
import type { ReadOnlyStore } from '../../store/read-only-store.ts';
import type { SealedStore } from '../../store/sealed-store.ts';
import { readAll } from './io.ts';

/** Options that every store command takes. */
export interface PlaceOptions {
  readonly path: string;
  readonly passwordFile: string;
  readonly json?: true;
}

/** Options of the commands that work on one namespace. */
export interface NamespaceOptions extends PlaceOptions {
  readonly namespace: string;
}

/** Starts a command on a store, with the options that say which. */
export function placeCommand(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .requiredOption('--path <dir>', 'folder of the store')
    .requiredOption('--password-file <file>', 'file with the password; a final newline is ignored')
    .option('--json', 'print JSON');
}

/** As {@link placeCommand}, for one namespace. */
export function namespaceCommand(parent: Command, usage: string, description: string): Command {
  return placeCommand(parent, usage, description).option(
    '--namespace <name>',
    'namespace of the records',
    'default',
  );
}

/**
 * A file that the person named, whole; of one that is longer than `maxBytes`, or endless, a little more than that,
 * for the store to refuse. @throws ProblemError STORE_FILE_UNREADABLE.
 */
export async function readUserFile(path: string, option: string, maxBytes: number): Promise<Uint8Array> {
  try {
    return await readAll(createReadStream(path), maxBytes);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new ProblemError('STORE_FILE_UNREADABLE', `--${option} ${path}: ${why}`, {
      field: option,
      observed: why,
      cause,
    });
  }
}

/** A text file that the person named, as {@link readUserFile}. */
export const readTextFile = async (path: string, option: string, maxBytes: number): Promise<string> =>
  new TextDecoder().decode(await readUserFile(path, option, maxBytes));

/** Runs a task with the password of a file, and wipes it. @throws ProblemError STORE_FILE_UNREADABLE. */
export async function withPassword<T>(path: string, task: (password: SecretBytes) => Promise<T>): Promise<T> {
  const bytes = await readUserFile(path, 'password-file', MAX_PASSWORD_BYTES + 2);
  let password: SecretBytes | undefined;
  try {
    password = passwordFromFile(bytes);
    return await task(password);
  } finally {
    bytes.fill(0);
    password?.wipe();
  }
}

/** The store's place and the password that opens it, which is wiped when the task is over. */
export function withPlace<T>(
  { path, passwordFile }: PlaceOptions,
  task: (place: PasswordPlace) => Promise<T>,
): Promise<T> {
  return withPassword(passwordFile, (password) =>
    task({ path: resolve(path), password, fileSystem: nodeFileSystem }),
  );
}

/** Opens the store for one task and closes it afterwards, also after an error. */
export function withStore<T>(options: PlaceOptions, task: (store: SealedStore) => Promise<T>): Promise<T> {
  return withPlace(options, async (place) => {
    const store = await openPasswordStore(place);
    try {
      return await task(store);
    } finally {
      await store.close();
    }
  });
}

/** Reads the store as it is now, for one task; changes nothing, and another process may have it open. */
export function withReading<T>(
  options: PlaceOptions,
  task: (store: ReadOnlyStore) => Promise<T>,
): Promise<T> {
  return withPlace(options, async (place) => {
    const store = await readPasswordStore(place);
    try {
      return await task(store);
    } finally {
      await store.close();
    }
  });
}

/** A namespace, plain or erasable; a new namespace is plain. */
export async function anyNamespace(store: SealedStore, name: string): Promise<Namespace> {
  try {
    return await store.namespace(name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'STORE_NAMESPACE_KIND')) throw error;
    return store.namespace(name, { erasable: true });
  }
}
