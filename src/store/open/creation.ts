import { copyBytes } from '../../bytes/copy-bytes.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { FileSystem, FolderLock } from '../../disk/file-system.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { STORE_ID_BYTES } from '../api/limits.ts';
import { writeFailure } from '../files/disk-failure.ts';
import { inFolder, syncFile } from '../files/files.ts';
import { keysFileName, NamespaceKeys } from '../keys/namespace-keys.ts';
import { encodeStoreHeader } from '../keys/store-header.ts';
import { RecordKeys } from '../keys/store-keys.ts';
import { StoreState, type StoreTuning } from '../store-state.ts';

/** The start of a store's log: zero, or the position after the head of the restored backup. */
export interface LogOrigin {
  readonly generation: number;
  readonly sequence: number;
  readonly digest: Uint8Array;
}

/** The input of a new store. */
export interface Creation {
  readonly fileSystem: FileSystem;
  readonly path: string;
  readonly storeKey: SecretBytes;
  readonly storeId: Uint8Array | undefined;
  readonly unlock: Uint8Array | undefined;
  readonly tuning: StoreTuning;
  readonly origin: LogOrigin;
}

/** The first generation of a store that begins empty. */
export const freshOrigin = (): LogOrigin => ({ generation: 1, sequence: 0, digest: new Uint8Array(32) });

/**
 * Takes the folder for a process.
 * @throws ProblemError STORE_LOCKED naming the process that has it.
 */
export async function takeLock(fileSystem: FileSystem, path: string): Promise<FolderLock | undefined> {
  const lock = await fileSystem.lock?.(path).catch((error: unknown) => {
    throw writeFailure(error, path);
  });
  if (lock === undefined || !('owner' in lock)) return lock;
  throw new ProblemError('STORE_LOCKED', `${lock.owner} has the store in ${path} open`, {
    observed: lock.owner,
    hint: 'stop that process; a lock never outlives its process',
  });
}

/** Writes the files of an empty store into a cleared folder, except for the manifest, which completes it. */
export async function layOut(creation: Creation, lock: FolderLock | undefined): Promise<StoreState> {
  const { fileSystem, path, tuning, origin, unlock = new Uint8Array(0) } = creation;
  const storeId = creation.storeId ?? tuning.random(STORE_ID_BYTES);
  if (storeId.length !== STORE_ID_BYTES)
    throw new RangeError(`a store id must be ${STORE_ID_BYTES} bytes, got ${storeId.length}`);
  const storeKey = new SecretBytes(creation.storeKey.reveal());
  const state = new StoreState(
    {
      fileSystem,
      folder: path,
      lock,
      keys: {
        header: encodeStoreHeader(storeId, copyBytes(unlock, 'unlock'), storeKey),
        storeKey,
        current: RecordKeys.of(1, storeKey),
        old: [],
        generation: origin.generation,
        namespaceKeys: undefined,
      },
      nextSegmentId: 1,
      nextNamespaceId: 1,
    },
    tuning,
  );
  try {
    const keysPath = inFolder(path, keysFileName(1));
    const handle = await fileSystem.open(keysPath, 'create');
    const keys = { wrapping: state.keys.current.records, storeId, random: tuning.random };
    const namespaceKeys = new NamespaceKeys({ path: keysPath, number: 1, handle }, new Uint8Array(0), keys);
    state.keys = { ...state.keys, namespaceKeys };
    await syncFile(handle);
    return state;
  } catch (error) {
    await state.close().catch(() => undefined);
    throw error;
  }
}

/** Begins the log and puts the manifest in place; after this the store exists. */
export async function beginLog(state: StoreState, origin: LogOrigin): Promise<void> {
  const firstOrdinal = origin.sequence + 1;
  const start = { kind: 'log', firstOrdinal, previous: origin.digest } as const;
  const segment = await state.log.create(start, state.keys.current);
  state.log.segments = [...state.log.segments, segment];
  await state.saveManifest(state.manifest());
}
