import type { CodeEntry } from './code-entry.ts';

/** Codes of the sealed store and of the keyslot file. */
export const storeCodes = {
  STORE_CLOSED: { status: 503, summary: 'The store is closed.' },
  STORE_NOT_FOUND: { status: 404, summary: 'There is no store in this folder.' },
  STORE_EXISTS: { status: 409, summary: 'There is a store in this folder already.' },
  STORE_PLACE_NOT_EMPTY: { status: 409, summary: 'The folder for a new store is not empty.' },
  STORE_PLACE_NOT_A_FOLDER: { status: 422, summary: 'The path of the store is not a folder.' },
  STORE_LOCKED: { status: 423, summary: 'Another process has this store open.' },
  STORE_WRONG_KEY: { status: 403, summary: 'The key does not belong to this store.' },
  STORE_KEY_CHECK_MISSING: {
    status: 422,
    summary: 'The header of the store has lost the value that tells a right key from a wrong one.',
  },
  STORE_FORMAT_UNSUPPORTED: { status: 422, summary: 'The store was written by a newer version.' },
  STORE_MANIFEST_MISSING: {
    status: 422,
    summary: 'There are segments of a store, but the manifest that lists them is gone.',
  },
  STORE_MANIFEST_DAMAGED: { status: 422, summary: 'The manifest of the store was altered or damaged.' },
  STORE_SEGMENT_MISSING: { status: 422, summary: 'A segment that the manifest lists is gone.' },
  STORE_SEGMENT_TRUNCATED: { status: 422, summary: 'A segment is shorter than what was durable.' },
  STORE_SEGMENT_FOREIGN: { status: 422, summary: 'A segment belongs to another store.' },
  STORE_SEGMENT_SWAPPED: { status: 422, summary: 'A segment lies in the place of another one.' },
  STORE_SEGMENT_DAMAGED: {
    status: 422,
    summary: 'Bytes of a segment below the durable watermark were altered or damaged.',
  },
  STORE_RECORD_FOREIGN: { status: 422, summary: 'A segment contains records of another store.' },
  STORE_RECORD_MISPLACED: {
    status: 422,
    summary: 'Genuine records of this store were swapped, repeated or left out.',
  },
  STORE_RECORD_DAMAGED: {
    status: 500,
    summary: 'A record on the disk was altered or damaged while the store was open.',
  },
  STORE_NAMESPACE_KEY_DAMAGED: {
    status: 422,
    summary: 'The wrapped key of an erasable namespace is gone or damaged.',
  },
  STORE_ROLLED_BACK: {
    status: 422,
    summary: 'The store is older than a head that was deposited before, or does not contain it.',
  },
  STORE_CONFLICT: { status: 409, summary: 'A condition of an atomic batch does not hold.' },
  STORE_NAMESPACE_KIND: {
    status: 409,
    summary: 'The namespace exists with the other kind (erasable or not).',
  },
  STORE_NAMESPACE_MISSING: { status: 404, summary: 'There is no namespace of this name.' },
  STORE_NAMESPACE_ERASED: {
    status: 410,
    summary: 'A namespace was erased while a snapshot of it was read or a backup was made; start again.',
  },
  STORE_NAME_INVALID: { status: 422, summary: 'A name is empty, over 4 KiB, or not well-formed Unicode.' },
  STORE_VALUE_TOO_LARGE: { status: 413, summary: 'A value is larger than 16 MiB.' },
  STORE_BATCH_TOO_LARGE: { status: 413, summary: 'An atomic batch is larger than 64 MiB.' },
  STORE_OVERLOADED: { status: 503, summary: 'Too many writes wait for the disk.' },
  STORE_DISK_FULL: { status: 507, summary: 'The disk is full; nothing of this write was kept.' },
  STORE_DISK_READ_ONLY: { status: 503, summary: 'The file system is read-only.' },
  STORE_WRITE_FAILED: {
    status: 503,
    summary: 'The disk failed while writing; the store takes no more writes until it is opened again.',
  },
  STORE_RESOURCES_SHORT: {
    status: 503,
    summary:
      'The system is short of file descriptors or memory; nothing was written, and a later write may succeed.',
  },
  STORE_LOCK_UNAVAILABLE: {
    status: 503,
    summary: 'The folder of the store cannot be locked, so it is not opened.',
  },
  STORE_FILE_IRREGULAR: {
    status: 422,
    summary: 'A file of the data folder is a link, a pipe, a device or a socket, or has a second name.',
  },
  STORE_READ_FAILED: { status: 503, summary: 'The disk failed while reading.' },
  STORE_SNAPSHOT_RELEASED: { status: 410, summary: 'The snapshot was released.' },
  STORE_BACKUP_INVALID: { status: 422, summary: 'This is not a backup of a store.' },
  STORE_BACKUP_RUNNING: { status: 503, summary: 'Another backup of this store is under way.' },
  STORE_BACKUP_KEY_CHANGED: {
    status: 503,
    summary: 'The store key changed during the backup, which would open with the former key only.',
  },
  STORE_BACKUP_DAMAGED: { status: 422, summary: 'The backup was altered or damaged.' },
  STORE_BACKUP_TRUNCATED: { status: 422, summary: 'The backup ends too early.' },
  STORE_ALREADY_RESERVED: { status: 409, summary: 'The name is reserved already and has no value yet.' },
  STORE_NAME_TAKEN: { status: 409, summary: 'The name has a value already, so it cannot be reserved.' },
  STORE_RESERVATION_INVALID: {
    status: 409,
    summary: 'The reservation was used, given back, forged, or belongs to another store.',
  },
  STORE_NAME_MISSING: { status: 404, summary: 'There is no value under this name.' },
  STORE_NAME_RESERVED: { status: 409, summary: 'The name is reserved and has no value yet.' },
  STORE_PASSWORD_WRONG: {
    status: 403,
    summary: 'The password is wrong, or the password header of the store was altered.',
  },
  STORE_PASSWORD_HEADER: {
    status: 422,
    summary: 'The password header of the store is missing, damaged, or of a newer version.',
  },
  STORE_FILE_UNREADABLE: { status: 500, summary: 'A file that a store command was given cannot be read.' },
  STORE_FILE_UNWRITABLE: { status: 500, summary: 'A file that a store command was to make cannot be made.' },
  STORE_CONFIRMATION_NEEDED: {
    status: 409,
    summary: 'The command would lose records and was not confirmed; nothing was changed.',
  },
  STORE_PASSWORD_INVALID: { status: 400, summary: 'The password file is empty or too large.' },
} as const satisfies Record<string, CodeEntry>;
