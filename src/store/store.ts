/**
 * `latchkey/store`: the sealed store by itself, under a key or under a password, its backups, and write-once names.
 * docs/store.md
 */
export { SecretBytes } from '../bytes/secret-bytes.ts';
export type { FileHandle, FileSystem, FolderLock } from '../disk/file-system.ts';
export { nodeFileSystem } from '../disk/node-file-system.ts';
export { type ErrorCode, errorCodes } from '../errors/codes.ts';
export { EvidenceError, LatchkeyError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
export type { Admission, FoundLog } from './api/admission.ts';
export type { BackupCounts, BackupPart, BackupReport, BackupSink } from './api/backup-api.ts';
export type { LogHead } from './api/log-head.ts';
export type {
  BatchOperation,
  NameRange,
  Namespace,
  ReadableNamespace,
  Snapshot,
  Store,
} from './api/store-api.ts';
export { passwordFromFile } from './keys/password.ts';
export {
  backupPasswordStore,
  createPasswordStore,
  openPasswordStore,
  type PasswordPlace,
  readPasswordStore,
  restorePasswordStore,
} from './password-store.ts';
export { ReadOnlyStore } from './read-only-store.ts';
export { type Reservation, ReservedNames, type ReservedNamesOptions } from './reservations.ts';
export { SealedStore, type StoreStat } from './sealed-store.ts';
export type { CreateOptions, OpenOptions, RestoreOptions, StoreOptions } from './store-options.ts';
