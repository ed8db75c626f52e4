import { concatBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { EvidenceError, ProblemError } from '../errors/latchkey-error.ts';
import type { BatchOperation, Store } from '../store/api/store-api.ts';
import {
  AUDIT_HASH_BYTES,
  type AuditHead,
  decodeHead,
  encodeHead,
  extend,
  sameHead,
  startOfLog,
} from './audit-chain.ts';
import { type AuditEvent, type AuditFields, encodeEntry } from './audit-entry.ts';

const NAMESPACE = 'latchkey/audit';
/** What the oldest entry that is kept follows. */
const BASE = 'base';
const ENTRY_PREFIX = 'entry/';
/** Most entries of one write. */
const MAX_BATCH = 256;
/** Entries that wait for a store that takes no writes; what comes after them is counted only. */
const MAX_WAITING = 4_096;

interface Waiting {
  readonly atMs: number;
  readonly event: AuditEvent;
  readonly fields: AuditFields;
  readonly written: () => void;
  readonly failed: (error: unknown) => void;
}

/** An entry as it lies in the store. */
export interface StoredEntry {
  readonly bytes: Uint8Array;
  /** The head after it. */
  readonly head: AuditHead;
}

/** What a log is made for. */
export interface AuditLogParts {
  readonly store: Store;
  readonly account: AccountId;
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  readonly nowMs: () => number;
  /** How many entries are kept; older ones are removed in steps of a tenth. */
  readonly maxEntries: number;
}

/**
 * The audit log of a node: numbered entries in its sealed store, each bound to all before it by a hash. Entries are
 * written in the order in which they came, many in one write. One that cannot be written stays in memory and goes with
 * the next write.
 */
export class AuditLog {
  readonly #parts: AuditLogParts;
  #base: AuditHead;
  #head: AuditHead;
  #waiting: Waiting[] = [];
  #missed = 0;
  #isRead = false;
  /** Entries up to this number are being removed. */
  #removeUpTo = 0;
  #writing: Promise<void> | undefined;

  private constructor(parts: AuditLogParts) {
    this.#parts = parts;
    this.#base = startOfLog(parts.account, parts.storeId);
    this.#head = this.#base;
  }

  /**
   * Opens the log of a store; the first entry makes it.
   * @param onUnread is told why the log cannot be read now: the host may fail one read of its disk. Entries wait until it
   *   can be read.
   * @throws as {@link read}, without `onUnread`.
   */
  static async open(parts: AuditLogParts, onUnread?: (error: unknown) => void): Promise<AuditLog> {
    const log = new AuditLog(parts);
    await log.read().catch(onUnread);
    return log;
  }

  /** Reads both ends of the log, unless they are known. @throws EvidenceError AUDIT_ENTRY_INVALID, and what the store throws. */
  async read(): Promise<void> {
    if (this.#isRead) return;
    const { base, head } = await readEnds(this.#parts.store, this.#base);
    // Another call may have read it, and gone on, since.
    if (this.#isRead) return;
    this.#isRead = true;
    this.#base = base;
    this.#head = head;
  }

  /** The last entry that is durable; the start while the log could not be read. */
  get head(): AuditHead {
    return this.#head;
  }

  /** What the oldest entry that is kept follows. */
  get base(): AuditHead {
    return this.#base;
  }

  /** Entries that are not written yet, also those that are only counted. */
  get behind(): number {
    return this.#waiting.length + this.#missed;
  }

  /**
   * Adds an entry. Resolves when it is durable.
   * @throws what the store throws; the entry is kept, and goes with the next write. ProblemError AUDIT_REQUIRED when too
   *   many wait already: then it is counted only, and never durable.
   */
  async append(event: AuditEvent, fields: AuditFields): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#missed++;
      await this.flush();
      throw new ProblemError('AUDIT_REQUIRED', `the entry is counted only: ${MAX_WAITING} others waited`);
    }
    const { nowMs } = this.#parts;
    await new Promise<void>((written, failed) => {
      this.#waiting.push({ atMs: nowMs(), event, fields, written, failed });
      void this.flush().catch(() => undefined);
    });
  }

  /** Writes what waits. @throws what the store throws. */
  flush(): Promise<void> {
    if (this.#writing === undefined && this.behind > 0) this.#writing = this.#write();
    return this.#writing ?? Promise.resolve();
  }

  /**
   * Entries from a number on, oldest first, up to the head of now.
   * @throws EvidenceError AUDIT_ENTRY_INVALID when one was removed before it was read.
   */
  async *entries(from: number): AsyncGenerator<StoredEntry> {
    await this.read();
    const { store } = this.#parts;
    const { sequence: last } = this.#head;
    if (last < from) return;
    const namespace = await store.namespace(NAMESPACE);
    for (let sequence = from; sequence <= last; sequence++) {
      const value = await namespace.get(nameOf(sequence));
      if (value === undefined) throw invalid(`entry ${sequence} was removed before it was read`);
      yield stored(nameOf(sequence), value);
    }
  }

  /** Nothing may be awaited between the last look at what waits and the end: an entry that came then would stay. */
  async #write(): Promise<void> {
    try {
      await this.read();
      // An entry waits for one step of removing at most: keys wait for their entries.
      while (this.behind > 0 || this.#removeUpTo > this.#base.sequence) {
        if (this.behind > 0) await this.#writeNext();
        await this.#removeSome();
      }
    } catch (error) {
      for (const { failed } of this.#waiting) failed(error);
      throw error;
    } finally {
      this.#writing = undefined;
    }
  }

  async #writeNext(): Promise<void> {
    const batch = this.#waiting.slice(0, MAX_BATCH);
    const missed = batch.length < MAX_BATCH ? this.#missed : 0;
    await this.#writeBatch(batch, missed);
    this.#waiting.splice(0, batch.length);
    this.#missed -= missed;
    for (const { written } of batch) written();
  }

  async #writeBatch(batch: readonly Waiting[], missed: number): Promise<void> {
    const entries: Pick<Waiting, 'atMs' | 'event' | 'fields'>[] = [...batch];
    if (missed > 0)
      entries.push({ atMs: this.#parts.nowMs(), event: 'entries.missed', fields: { count: missed } });
    let head = this.#head;
    const operations: BatchOperation[] = [];
    for (const { atMs, event, fields } of entries) {
      const bytes = encodeEntry(head.sequence + 1, atMs, event, fields);
      head = extend(head, bytes);
      const name = nameOf(head.sequence);
      operations.push(
        { kind: 'expect', namespace: NAMESPACE, name, value: undefined },
        { kind: 'put', namespace: NAMESPACE, name, value: concatBytes(head.hash, bytes) },
      );
    }
    await this.#parts.store.namespace(NAMESPACE);
    await this.#store(operations, head);
    this.#head = head;
  }

  /** @throws what the store throws, unless the operations are in the store nevertheless. */
  async #store(operations: readonly BatchOperation[], head: AuditHead): Promise<void> {
    try {
      await this.#parts.store.batch(operations);
    } catch (error) {
      const present = await readEnds(this.#parts.store, this.#base).catch(() => undefined);
      // They may be there all the same, so the next write has to look where the log ends.
      if (present === undefined) this.#isRead = false;
      if (present === undefined || !sameHead(present.head, head)) throw error;
    }
  }

  /** When there are a tenth too many, the oldest are removed in steps; the hash that the rest follows is kept. */
  async #removeSome(): Promise<void> {
    const { maxEntries, store } = this.#parts;
    const kept = this.#head.sequence - this.#base.sequence;
    if (kept * 10 > maxEntries * 11) this.#removeUpTo = this.#head.sequence - maxEntries;
    const upTo = Math.min(this.#removeUpTo, this.#base.sequence + MAX_BATCH);
    if (upTo <= this.#base.sequence) return;
    const namespace = await store.namespace(NAMESPACE);
    const value = await namespace.get(nameOf(upTo));
    if (value === undefined) throw invalid(`entry ${upTo} is not there`);
    const { head: base } = stored(nameOf(upTo), value);
    const operations: BatchOperation[] = [
      { kind: 'put', namespace: NAMESPACE, name: BASE, value: encodeHead(base) },
    ];
    for (let sequence = this.#base.sequence + 1; sequence <= upTo; sequence++)
      operations.push({ kind: 'delete', namespace: NAMESPACE, name: nameOf(sequence) });
    await store.batch(operations);
    this.#base = base;
  }
}

interface Ends {
  readonly base: AuditHead;
  readonly head: AuditHead;
}

/** Reads both ends of a log. @param start is both in an empty one. @throws EvidenceError AUDIT_ENTRY_INVALID. */
async function readEnds(store: Store, start: AuditHead): Promise<Ends> {
  if (!store.hasNamespace(NAMESPACE)) return { base: start, head: start };
  const namespace = await store.namespace(NAMESPACE);
  const record = await namespace.get(BASE);
  const base = record === undefined ? start : decodeHead(record);
  const [last] = namespace.names({ prefix: ENTRY_PREFIX, reverse: true, limit: 1 });
  if (last === undefined) return { base, head: base };
  const value = await namespace.get(last);
  if (value === undefined) throw invalid(`${last} is not there`);
  return { base, head: stored(last, value).head };
}

const nameOf = (sequence: number): string => ENTRY_PREFIX + sequence.toString(16).padStart(14, '0');

function stored(name: string, value: Uint8Array): StoredEntry {
  const sequence = Number.parseInt(name.slice(ENTRY_PREFIX.length), 16);
  if (value.length <= AUDIT_HASH_BYTES || nameOf(sequence) !== name) throw invalid(`${name} is no entry`);
  return {
    bytes: copyBytes(value.subarray(AUDIT_HASH_BYTES)),
    head: { sequence, hash: copyBytes(value.subarray(0, AUDIT_HASH_BYTES)) },
  };
}

const invalid = (observed: string): EvidenceError =>
  new EvidenceError('AUDIT_ENTRY_INVALID', `the audit log in the store: ${observed}`, {
    hint: 'was the store restored from a backup in part? `latchkey audit verify` shows where the chain breaks',
  });
