import type { LogHead } from './log-head.ts';

/** A caller's judgement of a store, made when all was read and before anything on the disk is changed. */
export interface Admission {
  /** Positions of the log; the judge wants to see the digests there: sequence numbers, whole numbers from 0. */
  readonly sequences: readonly number[];
  /** Throws to refuse the store: its error comes out of the opening unchanged. The store waits for it. */
  readonly judge: (found: FoundLog) => Promise<void> | void;
}

/** A log as it was read and verified. Only for the judge, and only until it has ended. */
export interface FoundLog {
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  /** The position of the last record. */
  readonly head: LogHead;
  /**
   * Digest of the chain after the record of this sequence, 32 bytes: the digest of a head that was taken there.
   * `undefined` beyond the end, and where compaction has taken that part of the log. No head was ever taken between
   * two records of one frame: there it is the digest after the frame, which is no head's digest at that sequence.
   * @throws RangeError for a sequence that {@link Admission.sequences} does not have.
   */
  digestAt(sequence: number): Uint8Array | undefined;
  /**
   * A copy of a value; `undefined` when there is no such namespace or name.
   * @throws EvidenceError STORE_RECORD_DAMAGED, ProblemError STORE_READ_FAILED, and STORE_CLOSED after the judge.
   */
  get(namespace: string, name: string): Promise<Uint8Array | undefined>;
}
