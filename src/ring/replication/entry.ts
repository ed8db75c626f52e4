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

/** Where a node remembers marks: which attempt it heard of first. They are durable, and go after {@link MARK_LIFE_MS}. */
export interface MarkStore {
  /**
   * Keeps an attempt for a mark, durably, unless it has one. All texts are lower-case hex.
   * @param nowMs time of the chain.
   * @returns the attempt that is kept.
   * @throws ProblemError RING_MARKS_FULL.
   */
  claim(mark: string, attempt: string, nowMs: number): Promise<string>;
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
