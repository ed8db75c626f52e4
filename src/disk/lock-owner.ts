import { closeSync, constants, readSync, writeSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { openRegular } from './descriptors.ts';

/** Names the process that has the lock, for people; the lock itself is the socket. */
const OWNER_FILE = 'LOCK';
const MAX_OWNER_BYTES = 64;

/** Writes the id of this process into a new file. An existing file is removed, not written. A failure is ignored. */
export async function noteOwner(folder: string): Promise<void> {
  const path = `${folder}/${OWNER_FILE}`;
  await unlink(path).catch(() => undefined);
  await withDescriptor(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, (descriptor) => {
    writeSync(descriptor, `process ${process.pid}\n`);
  });
}

/** Describes the process that wrote the file, for an error message. */
export async function readOwner(folder: string): Promise<string> {
  const bytes = Buffer.alloc(MAX_OWNER_BYTES);
  const read = (descriptor: number) => readSync(descriptor, bytes, 0, bytes.length, 0);
  const length = (await withDescriptor(`${folder}/${OWNER_FILE}`, constants.O_RDONLY, read)) ?? 0;
  const text = bytes.toString('latin1', 0, length).trim();
  return /^process \d+$/.test(text) ? text : 'another process';
}

/** Removes the file. */
export async function removeOwner(folder: string): Promise<void> {
  await unlink(`${folder}/${OWNER_FILE}`).catch(() => undefined);
}

/** Runs something with a guarded descriptor; `undefined` when it cannot be opened or used. */
async function withDescriptor<T>(
  path: string,
  flags: number,
  use: (descriptor: number) => T,
): Promise<T | undefined> {
  const opened = await openRegular(path, flags).catch(() => undefined);
  if (opened === undefined) return undefined;
  try {
    return use(opened.descriptor);
  } catch {
    return undefined;
  } finally {
    closeSync(opened.descriptor);
  }
}
