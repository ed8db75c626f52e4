import type { LatchkeyError } from '../../errors/latchkey-error.ts';

/** An error that the store met, and when. */
export interface StoreFault {
  /** Its `code` tells the kinds apart: a full disk is STORE_DISK_FULL. */
  readonly error: LatchkeyError;
  /** When the store met this error first, in milliseconds since 1970; a repetition with the same code keeps it. */
  readonly sinceMs: number;
}

/** State of the disk and of the background work of an open store, for metrics, readiness and status. */
export interface StoreHealth {
  /** Bytes of all segment files. */
  readonly diskBytes: number;
  /** Bytes of sealed records that are still referred to. */
  readonly liveBytes: number;
  /** Bytes that this user can still write on the file system; `undefined` where the system does not tell. */
  readonly freeBytes: number | undefined;
  /**
   * Why the last write failed; `undefined` as soon as a write succeeded. STORE_DISK_FULL and STORE_RESOURCES_SHORT pass
   * by themselves when the cause is gone. After STORE_WRITE_FAILED the store takes no more writes until it is opened
   * again; also after STORE_DISK_READ_ONLY, when it met records: `takesWrites` tells.
   */
  readonly writeFault: StoreFault | undefined;
  /** True while the last write failed because the disk had no room. */
  readonly isDiskFull: boolean;
  /**
   * False after a failure that left the end of the log unknown: until the store is opened again it refuses all writes.
   * STORE_WRITE_FAILED always is one; STORE_DISK_READ_ONLY only when records were written, as their remains cannot be
   * cut off then.
   */
  readonly takesWrites: boolean;
  /** The last error of the disk while reading, writing or closing, also when writes work again. */
  readonly lastDiskFault: StoreFault | undefined;
  /** Why the last compaction in the background failed; `undefined` as soon as one succeeded. */
  readonly compactionFault: StoreFault | undefined;
}

/** Called when the health of a store changes. Errors that it throws are ignored. */
export interface StoreObserver {
  /**
   * The store was opened although its checkpoint was gone, altered or exchanged: all was replayed from the log, so
   * nothing is lost or changed. An exchanged file can only be noticed here.
   */
  checkpointIgnored?(): void;
  /** A write failed with another code than the write before, or (`undefined`) writes work again. */
  writeFaultChanged?(fault: StoreFault | undefined): void;
  /** A read from the disk failed. */
  readFailed?(fault: StoreFault): void;
  /** Closing a file reported an error. Nothing is lost: what counts was durable before. */
  closeFailed?(fault: StoreFault): void;
  /** One group of writes is on the disk; the writes in it waited for this, and for the group before it. */
  groupWritten?(milliseconds: number): void;
  /** Some segments were replaced by one with the records that are in force. */
  compacted?(): void;
  /** A compaction failed with another code than the one before, or (`undefined`) compaction works again. */
  compactionFaultChanged?(fault: StoreFault | undefined): void;
}
