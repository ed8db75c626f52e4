import { close, constants, fsync } from 'node:fs';
import { mkdir, readdir, rename, rmdir, stat, statfs, unlink } from 'node:fs/promises';
import type { FileHandle, FileSystem, FolderLock } from './file-system.ts';
import { lockFolder } from './folder-lock.ts';
import { called, NodeFileHandle, openDescriptor } from './node-file-handle.ts';

const flagsOf = {
  read: constants.O_RDONLY,
  'read-write': constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
} as const;

/** The operating system's file system, on Linux. */
export const nodeFileSystem: FileSystem = {
  async open(path, mode): Promise<FileHandle> {
    // A file that somebody else planted as a symbolic link or a pipe must neither redirect nor hang the store.
    const flags = flagsOf[mode] | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    return new NodeFileHandle(path, await openDescriptor(path, flags));
  },
  rename: (from, to) => rename(from, to),
  unlink: (path) => unlink(path),
  mkdir: (path) => mkdir(path, { mode: 0o700 }).then(() => undefined),
  rmdir: (path) => rmdir(path),
  list: (path) => readdir(path),
  async stat(path) {
    try {
      const found = await stat(path);
      const kind = found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other';
      return { kind, size: found.size };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  },
  async syncDirectory(path) {
    const descriptor = await openDescriptor(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await called((done) => fsync(descriptor, done));
    } finally {
      await called((done) => close(descriptor, done));
    }
  },
  async freeBytes(path) {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
  lock: (folder): Promise<FolderLock | { readonly owner: string }> => lockFolder(folder),
};

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';
