import { dirname, join } from 'node:path';
import type { FileHandle, FileSystem, FolderLock, OpenMode } from '../../disk/file-system.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { SyncFailure, systemCode } from './disk-failure.ts';

/** Runs something with an open file, and closes it in any case. */
export async function withFile<T>(
  fileSystem: FileSystem,
  path: string,
  mode: OpenMode,
  use: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  const handle = await fileSystem.open(path, mode);
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

/** Throws the first error of work that was all done. */
export function throwFirst(results: readonly PromiseSettledResult<unknown>[]): void {
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** Makes what was written to a file durable. @throws SyncFailure. */
export async function syncFile(handle: FileHandle): Promise<void> {
  await handle.sync().catch((cause: unknown) => {
    throw new SyncFailure('the sync of a file failed', { cause });
  });
}

/** Makes creations, renames and removals in a folder durable. @throws SyncFailure. */
export async function syncFolder(fileSystem: FileSystem, folder: string): Promise<void> {
  await fileSystem.syncDirectory(folder).catch((cause: unknown) => {
    // The folder could not be opened, so no sync was tried.
    if (isOpening(cause)) throw cause;
    throw new SyncFailure('the sync of a folder failed', { cause });
  });
}

/** Reads a file. @throws RangeError when it is larger than `maxBytes`. */
export function readWholeFile(fileSystem: FileSystem, path: string, maxBytes: number): Promise<Uint8Array> {
  return withFile(fileSystem, path, 'read', async (handle) => {
    const size = await handle.size();
    if (size > maxBytes) throw new RangeError(`${path} has ${size} bytes, more than ${maxBytes}`);
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, handle.readSync(bytes, 0));
  });
}

/** Removes a file if it is there. */
export async function removeFile(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    await fileSystem.unlink(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

/** Writes the replacement of a file to `<path>.new`, durably. When it fails no new file is left. */
export async function prepareFile(fileSystem: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  await removeFile(fileSystem, temporary);
  try {
    await withFile(fileSystem, temporary, 'create', async (handle) => {
      await handle.write([bytes], 0);
      await syncFile(handle);
    });
  } catch (error) {
    await removeFile(fileSystem, temporary).catch(() => undefined);
    throw error;
  }
}

/**
 * Replaces a file by the prepared one, atomically and durably.
 * @throws SyncFailure when it is unknown which of the two a restart would find; other errors before anything changed.
 */
export async function putInPlace(fileSystem: FileSystem, path: string): Promise<void> {
  const unknown = (cause: unknown): never => {
    if (cause instanceof SyncFailure) throw cause;
    throw new SyncFailure('a file may or may not have been replaced', { cause });
  };
  if (fileSystem.renameDurably !== undefined) {
    await fileSystem.renameDurably(`${path}.new`, path).catch((error: unknown) => {
      // The folder could not be opened: nothing was renamed.
      if (isOpening(error)) throw error;
      unknown(error);
    });
    return;
  }
  await fileSystem.rename(`${path}.new`, path).catch(unknown);
  await syncFolder(fileSystem, dirname(path)).catch(unknown);
}

const isOpening = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && error.syscall === 'open';

/**
 * Overwrites a file with zeros before it is removed: as far as a file system reaches, its bytes are gone.
 * @param mostBytes the file can have secrets in this number of bytes at its beginning. The rest is only removed: a sparse file,
 *   which costs the host nothing, must not take hours or fill the disk.
 */
export async function shredFile(fileSystem: FileSystem, path: string, mostBytes: number): Promise<void> {
  await withFile(fileSystem, path, 'read-write', async (handle) => {
    const size = Math.min(await handle.size(), mostBytes);
    for (let at = 0; at < size; at += SHRED_BYTES)
      await handle.write([new Uint8Array(Math.min(SHRED_BYTES, size - at))], at);
    await syncFile(handle);
  });
  await fileSystem.unlink(path);
}

const SHRED_BYTES = 1024 * 1024;

/**
 * Before files are made by their path: the folder must still be the one that was locked.
 * @throws ProblemError STORE_WRITE_FAILED when another folder is in its place.
 */
export async function requireInPlace(lock: FolderLock | undefined, folder: string): Promise<void> {
  if ((await lock?.isInPlace?.()) ?? true) return;
  throw new ProblemError(
    'STORE_WRITE_FAILED',
    `the folder ${folder} was moved or replaced while the store was open`,
    {
      field: folder,
      expected: 'the folder that was opened',
      observed: 'another folder, or none',
      hint: 'nothing was written there; put the folder back and open the store again',
    },
  );
}

/** Path of a file of the store. */
export const inFolder = (folder: string, name: string): string => join(folder, name);
