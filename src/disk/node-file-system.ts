import { close, closeSync, constants, fsync } from 'node:fs';
import { lstat, mkdir, readdir, rename, rmdir, stat, statfs, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DescriptorPool, descriptorsForFiles } from './descriptor-pool.ts';
import { called, openDescriptor, openRegular, replaced } from './descriptors.ts';
import type { FileHandle, FileSystem, OpenMode } from './file-system.ts';
import { isOutOfDescriptors, NodeFileHandle, type OpenedFile } from './node-file-handle.ts';
import { takeSocketLock } from './socket-lock.ts';

const flagsOf = {
  read: constants.O_RDONLY,
  'read-write': constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
} as const;

/** Opens the file with all its descriptors, or with none. */
async function openFile(path: string, mode: OpenMode, durableWrites: boolean): Promise<OpenedFile> {
  const { descriptor, identity } = await openRegular(path, flagsOf[mode]);
  if (!durableWrites) return { path, identity, descriptor };
  try {
    const second = await openRegular(path, constants.O_WRONLY | constants.O_DSYNC);
    if (second.identity.dev === identity.dev && second.identity.ino === identity.ino)
      return { path, identity, descriptor, durable: second.descriptor };
    closeSync(second.descriptor);
    throw replaced(path);
  } catch (error) {
    closeSync(descriptor);
    // The caller may try again, and must not find its own file in the way.
    if (mode === 'create') await unlink(path).catch(() => undefined);
    throw error;
  }
}

/** The operating system's file system on Linux, with its own bound on the files that are only read. */
export function createNodeFileSystem(openFiles: number): FileSystem {
  const pool = new DescriptorPool(openFiles);
  const withRoom = async <T>(run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch (error) {
      if (!isOutOfDescriptors(error) || pool.free() === 0) throw error;
      return await run();
    }
  };
  const openFolder = (path: string) =>
    withRoom(() => openDescriptor(path, constants.O_RDONLY | constants.O_DIRECTORY));
  const closeFolder = (descriptor: number) => called((done) => close(descriptor, done));

  return {
    async open(path, mode, { durableWrites = false } = {}): Promise<FileHandle> {
      const opened = await withRoom(() => openFile(path, mode, durableWrites));
      const handle = new NodeFileHandle(opened, pool);
      if (mode === 'read') await handle.settle();
      return handle;
    },
    rename: (from, to) => rename(from, to),
    async renameDurably(from, to) {
      const folder = await openFolder(dirname(to));
      try {
        await rename(from, to);
        await called((done) => fsync(folder, done));
      } finally {
        await closeFolder(folder);
      }
    },
    unlink: (path) => unlink(path),
    mkdir: (path) => mkdir(path, { mode: 0o700 }).then(() => undefined),
    rmdir: (path) => rmdir(path),
    list: (path) => readdir(path),
    async stat(path) {
      try {
        const found = await lstat(path);
        if (found.isFile()) {
          return { kind: 'file', size: found.size, changedAtMs: Math.floor(found.mtimeMs) };
        }
        // An operator may have put the data folder elsewhere by a link; a file behind a link is never followed.
        const isFolder = found.isSymbolicLink() ? (await stat(path)).isDirectory() : found.isDirectory();
        return { kind: isFolder ? 'directory' : 'other', size: found.size };
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async syncDirectory(path) {
      const folder = await openFolder(path);
      try {
        await called((done) => fsync(folder, done));
      } finally {
        await closeFolder(folder);
      }
    },
    async freeBytes(path) {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    },
    lock: (folder) => withRoom(() => takeSocketLock(folder)),
  };
}

/** The operating system's file system, on Linux. */
export const nodeFileSystem: FileSystem = createNodeFileSystem(descriptorsForFiles());

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';
