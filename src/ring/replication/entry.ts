import type { RecordId } from '../../bytes/fixed-bytes.ts';

/** A record, as far as the ring reads it. */
export interface RingEntry {
  readonly id: RecordId;
  /** Larger bytes replace smaller ones; the same at every node. */
  readonly order: Uint8Array;
  readonly expiresAtMs: number;
  /** All of it, which may be secret. */
  readonly bytes: Uint8Array;
}

/** What the records of a ring are. */
export interface RecordFormat {
  /**
   * Reads a record and proves that its owner made it, so that a node can withhold one, and neither forge one nor bring
   * an older one back.
   * @throws LatchkeyError for anything else.
   */
  read(bytes: Uint8Array): RingEntry;
}

/**
 * Whether the bounds that an operator set leave room for a record at this node; asked right before it is written. A record
 * beyond them is kept only where other holders confirm it.
 */
export type RecordBounds = (entry: RingEntry) => boolean;

/** Where a node keeps its records; the promise of a write resolves when it is durable. Names are lower-case hex. */
export interface ReplicaStore {
  get(id: string): Promise<Uint8Array | undefined>;
  put(id: string, bytes: Uint8Array): Promise<void>;
  delete(id: string): Promise<void>;
  /** All records, for the index that is made at the start. */
  entries(): AsyncIterable<Uint8Array>;
  /** What the node has to remember besides its records. */
  readLedger(): Promise<Ledger>;
  writeLedger(ledger: Ledger): Promise<void>;
}

/** A claim of a mark for an attempt. All texts are lower-case hex. */
export interface MarkClaim {
  /** Of the record for whose holders the mark counts. */
  readonly id: string;
  /** 32 bytes. */
  readonly mark: string;
  /** 16 bytes. */
  readonly attempt: string;
}

/** A mark that a node keeps. */
export interface KeptMark extends MarkClaim {
  /** When it was claimed, in the time of the chain. */
  readonly atMs: number;
}

/** The attempt of a mark of which a node heard that two attempts have it: no attempt gets it any more. */
export const CONTESTED = '00'.repeat(16);

/** Where a node remembers marks: which attempt it heard of first. They are durable, and go after {@link MARK_LIFE_MS}. */
export interface MarkStore {
  /**
   * Keeps an attempt for a mark, durably, unless it has one.
   * @param from the member that claims it, lower-case hex.
   * @param nowMs time of the chain.
   * @returns the attempt that is kept.
   * @throws ProblemError RING_MARKS_FULL.
   */
  claim(claim: MarkClaim, from: string, nowMs: number): Promise<string>;
  /**
   * Some of the kept marks, in their order, for a member that will hold their ids.
   * @param after the last mark that was given before; empty to begin.
   * @returns `upTo` is empty when these are the last ones.
   */
  kept(after: string, nowMs: number): Promise<{ readonly marks: readonly KeptMark[]; readonly upTo: string }>;
  /**
   * Keeps a mark that another member has, durably. Where this node has another attempt, no attempt gets it any more: one
   * that had a majority before must not lose the mark to one that had not.
   * @throws ProblemError RING_MARKS_FULL.
   */
  take(mark: KeptMark, from: string, nowMs: number): Promise<void>;
}

/** How long marks are kept at least. */
export const MARK_LIFE_MS = 3_600_000;

/** What a node remembers of its repairs, in the time of the chain. */
export interface Ledger {
  /** When it last threw expired records away; 0 before the first time. */
  readonly purgedAtMs: number;
  /** When each member last began a repair with this node that it completed, by account in hex. */
  readonly repairedAtMs: Readonly<Record<string, number>>;
}

/** Before the first purge and repair. */
export const emptyLedger: Ledger = { purgedAtMs: 0, repairedAtMs: {} };
