import type { ErrorCode } from '../../errors/codes.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';

/**
 * Errors for which an instance that does not write yet closes its store again, once enough slots are proved to live: it
 * must not go on with this disk, or the store failed so that it takes nothing more until it is opened again. Until then,
 * and for anything else, it stays open: its slots may be lost by now, and then the key is nowhere else.
 */
const closing: ReadonlySet<ErrorCode> = new Set([
  'STORE_ROLLED_BACK',
  'LINEAGE_CLOSED',
  'STORE_WRITE_FAILED',
]);

/** A node that serves before it holds learns late that its disk is an old one. */
export const isOlderDisk = (error: unknown): boolean =>
  error instanceof LatchkeyError && (error.code === 'STORE_ROLLED_BACK' || error.code === 'LINEAGE_CLOSED');

/** A disk that is refused needs another disk, and so another request to the custodians; a failure passes by itself. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof LatchkeyError && error.family !== 'problem';

/** Whether such an error was thrown. */
export const mustClose = (error: unknown): boolean =>
  error instanceof LatchkeyError && closing.has(error.code);

/** Code and text of an error, for the log and the state. */
export function messageOf(error: unknown): string {
  if (error instanceof LatchkeyError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
