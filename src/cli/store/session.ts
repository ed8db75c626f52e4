import { resolve } from 'node:path';
import type { Command } from 'commander';
import { nodeFileSystem } from '../../disk/node-file-system.ts';
import type { Namespace } from '../../store/api/store-api.ts';
import { openPasswordStore, type PasswordPlace, readPasswordStore } from '../../store/password-store.ts';
import type { ReadOnlyStore } from '../../store/read-only-store.ts';
import type { SealedStore } from '../../store/sealed-store.ts';
import { withPassword } from '../shared/password-file.ts';

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
