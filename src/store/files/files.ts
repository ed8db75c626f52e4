import { dirname, join } from 'node:path';
import type { FileHandle, FileSystem } from '../../disk/file-system.ts';
import { systemCode } from './disk-failure.ts';

/** Runs something with an open file, and closes it in any case. */
export async function withFile<T>(
  fileSystem: FileSystem,
  path: string,
  mode: 'read' | 'read-write' | 'create',
  use: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  const handle = await fileSystem.open(path, mode);
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
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

/** Writes the file that is to replace another one beside it, durably. */
export async function prepareFile(fileSystem: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  await removeFile(fileSystem, temporary);
  await withFile(fileSystem, temporary, 'create', async (handle) => {
    await handle.write([bytes], 0);
    await handle.sync();
  });
}

/** Replaces a file by the prepared one, atomically and durably. */
export async function putInPlace(fileSystem: FileSystem, path: string): Promise<void> {
  await fileSystem.rename(`${path}.new`, path);
  await fileSystem.syncDirectory(dirname(path));
}

/** Overwrites a file with zeros before it is removed: as far as a file system reaches, its bytes are gone. */
export async function shredFile(fileSystem: FileSystem, path: string): Promise<void> {
  await withFile(fileSystem, path, 'read-write', async (handle) => {
    const size = await handle.size();
    if (size > 0) await handle.write([new Uint8Array(size)], 0);
    await handle.sync();
  });
  await fileSystem.unlink(path);
}

/** Path of a file of the store. */
export const inFolder = (folder: string, name: string): string => join(folder, name);
