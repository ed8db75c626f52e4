/** `read` and `read-write` need the file to exist; `create` needs it not to (EEXIST) and makes it 0600. */
export type OpenMode = 'read' | 'read-write' | 'create';

/**
 * Everything that touches the disk goes through this interface, so that a simulated disk can lose unsynced writes,
 * reorder them, fail at any step and cut the power between any two. Paths are absolute. Errors are those of
 * `node:fs` (with `code` such as ENOSPC); callers translate.
 */
export interface FileSystem {
  /**
   * Opens a regular file. A created file is durable only after {@link FileHandle.sync} and {@link syncDirectory} of
   * its folder. `durableWrites` prepares for {@link FileHandle.writeDurable}.
   * @throws EvidenceError STORE_FILE_IRREGULAR for anything else than a regular file.
   */
  open(path: string, mode: OpenMode, options?: { readonly durableWrites?: boolean }): Promise<FileHandle>;
  /** Atomically replaces `to`; durable only after {@link syncDirectory}. */
  rename(from: string, to: string): Promise<void>;
  /**
   * As {@link rename} and then {@link syncDirectory}, where the system has what it needs for both before it
   * renames.
   */
  renameDurably?(from: string, to: string): Promise<void>;
  /** Removes a file; durable only after {@link syncDirectory}. */
  unlink(path: string): Promise<void>;
  /** Makes one folder, 0700 (EEXIST if present). */
  mkdir(path: string): Promise<void>;
  /** Removes one empty folder. */
  rmdir(path: string): Promise<void>;
  /** Names in a folder, in no particular order. */
  list(path: string): Promise<readonly string[]>;
  /**
   * What is at the path, or `undefined` when nothing is. A link to a file is `other`. `changedAtMs` is absent where the
   * system keeps no times.
   */
  stat(path: string): Promise<
    | {
        readonly kind: 'file' | 'directory' | 'other';
        readonly size: number;
        readonly changedAtMs?: number;
      }
    | undefined
  >;
  /** fsync of a folder: makes creations, renames and removals in it durable. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that this user can still write on the file system of a folder. Absent where the system does not tell. */
  freeBytes?(path: string): Promise<number>;
  /**
   * Takes the folder for this process alone, until released or the process ends in whatever way; or says who has
   * it. Absent where only one process can exist.
   */
  lock?(folder: string): Promise<FolderLock | { readonly owner: string }>;
}

/** A folder taken by {@link FileSystem.lock}. */
export interface FolderLock {
  /** Whether the path still leads to the folder that was taken; a host may move it and put another in its place. */
  isInPlace?(): Promise<boolean>;
  release(): Promise<void>;
}

/** An open file. */
export interface FileHandle {
  /**
   * Reads into `into` from `position`, synchronously: one pread is faster than a turn through the thread pool.
   * @returns the bytes read, less than `into.length` only at the end of the file.
   */
  readSync(into: Uint8Array, position: number): number;
  /** Writes all parts one behind the other from `position`, or throws (then any prefix may be there). */
  write(parts: readonly Uint8Array[], position: number): Promise<void>;
  /** As {@link write} and then {@link sync}, where the system does both in one step; fails as either would. */
  writeDurable?(parts: readonly Uint8Array[], position: number): Promise<void>;
  /** fdatasync: what was written is on the disk when it resolves. After it throws, nothing may be assumed. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  /** No more writes follow: gives back what only writing needs, and lets the system bound the files that are read. */
  settle?(): Promise<void>;
  close(): Promise<void>;
}
