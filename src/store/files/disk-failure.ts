import { EvidenceError, LatchkeyError, ProblemError } from '../../errors/latchkey-error.ts';

/** The `code` of an error of the operating system, such as ENOSPC. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * A sync failed: what is on the disk is not known, and Linux drops the pages and reports the failure once, so a later
 * sync proves nothing. It is never tried again, and never counts as a full disk.
 */
export class SyncFailure extends Error {}

const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const readOnlyCodes = new Set(['EROFS', 'EPERM', 'EACCES']);

const syncCalls = new Set(['fdatasync', 'fsync']);

/** The system call that failed. */
const systemCall = (error: unknown): string =>
  error instanceof Error && 'syscall' in error ? String(error.syscall) : '';

/** True when the disk had no room: nothing is broken, and a later write may go through. A sync never counts. */
export const isDiskFull = (error: unknown): boolean =>
  fullCodes.has(systemCode(error) ?? '') && !syncCalls.has(systemCall(error));

/** True when writing is not allowed: the disk is mounted read-only, or the user lacks the right. */
export const isReadOnly = (error: unknown): boolean => readOnlyCodes.has(systemCode(error) ?? '');

const shortCodes = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);
/** System calls that leave the content of the disk unknown when they fail with any error code. */
const changingCalls = new Set(['write', 'ftruncate', 'fdatasync', 'fsync', 'rename']);

/** True when the system was short of descriptors or memory before anything on the disk was changed. */
export function isResourceShort(error: unknown): boolean {
  if (!shortCodes.has(systemCode(error) ?? '')) return false;
  return !changingCalls.has(systemCall(error));
}

/** Turns an error of the file system while writing into the store's own; the store's own pass through. */
export function writeFailure(error: unknown, what: string): LatchkeyError {
  if (error instanceof LatchkeyError) return error;
  const cause = error instanceof SyncFailure ? error.cause : error;
  const code = systemCode(cause) ?? 'unknown error';
  if (isDiskFull(error))
    return new ProblemError('STORE_DISK_FULL', `the disk is full: ${what} was not written`, {
      observed: code,
      hint: 'free some room; the store takes writes again as soon as there is',
      cause: error,
    });
  if (isReadOnly(error))
    return new ProblemError('STORE_DISK_READ_ONLY', `${what} cannot be written: ${code}`, {
      observed: code,
      hint: 'mount the file system for writing, or give this user the right to write',
      cause: error,
    });
  if (isResourceShort(error)) return resourcesShort(error, what);
  return new ProblemError('STORE_WRITE_FAILED', `the disk failed while writing ${what}: ${code}`, {
    observed: code,
    hint: 'what was acknowledged is safe; check the disk and restart the machine before you open it again',
    cause: error,
  });
}

/** Turns an error of the file system while reading into the store's own; the store's own pass through. */
export function readFailure(error: unknown, what: string): LatchkeyError {
  if (error instanceof LatchkeyError) return error;
  if (isResourceShort(error)) return resourcesShort(error, what);
  const code = systemCode(error) ?? 'unknown error';
  return new ProblemError('STORE_READ_FAILED', `the disk failed while reading ${what}: ${code}`, {
    observed: code,
    cause: error,
  });
}

const resourcesShort = (error: unknown, what: string): ProblemError =>
  new ProblemError('STORE_RESOURCES_SHORT', `the system is short of resources: ${what} was not reached`, {
    observed: systemCode(error) ?? 'unknown error',
    hint: 'nothing was changed; try again, and if it lasts, raise the limit of open files (ulimit -n) or free memory',
    cause: error,
  });

/** A file could not be closed without an error. What counts was made durable before, so nothing is lost. */
export const closeFailure = (error: unknown, what: string): LatchkeyError =>
  error instanceof LatchkeyError
    ? error
    : new ProblemError('STORE_WRITE_FAILED', `the disk reported an error while closing ${what}`, {
        observed: systemCode(error) ?? 'unknown error',
        hint: 'what was acknowledged is safe; check the disk',
        cause: error,
      });

/** The store is closed. */
export const storeClosed = (): ProblemError => new ProblemError('STORE_CLOSED', 'the store is closed');

/** Damage at a place. */
export const damagedAt = (
  code:
    | 'STORE_SEGMENT_DAMAGED'
    | 'STORE_RECORD_DAMAGED'
    | 'STORE_RECORD_FOREIGN'
    | 'STORE_RECORD_MISPLACED'
    | 'STORE_SEGMENT_TRUNCATED',
  file: string,
  offset: number,
  what: string,
): EvidenceError =>
  new EvidenceError(code, `${file}, byte ${offset}: ${what}`, {
    field: `${file}, byte ${offset}`,
    hint: 'the store was left as it is; restore a backup, or see `latchkey store repair`',
  });
