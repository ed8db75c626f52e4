import { EvidenceError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import { KeyedLock } from '../store/keyed-lock.ts';
import type { Store } from '../store/api/store-api.ts';
import type { ClientSignal } from './client-signal.ts';
import type { Decryption, StoredDecryption } from './decryption.ts';
import { DecryptionTable, type OracleSignature, sameDecryption } from './decryption-table.ts';
import { type DecryptionMetrics, noMetrics, type WriteOutcome } from './metrics.ts';
import { type Scheduler, systemScheduler } from './scheduler.ts';
import { type WaiterNews, waitForDecryption } from './wait-for-decryption.ts';
import { Waiters } from './waiters.ts';

/** How the service behaves; the defaults are those of the original where it has the option. */
export interface DecryptionServiceOptions {
  /** How long a GET of an unknown key waits for the PUT, in milliseconds (7000). */
  readonly maxExpectedOracleDelayMs?: number;
  /** How many requests may wait at a time, over all keys (16384). */
  readonly maxWaiters?: number;
  /** Whether a later PUT replaces an earlier one (true, as the original does). */
  readonly overwrite?: boolean;
  /** How many oracles' signatures are kept per key (64). */
  readonly maxSignaturesPerKey?: number;
  readonly scheduler?: Scheduler;
  readonly metrics?: DecryptionMetrics;
}

/** What to prune; a result that either rule names goes. */
export interface PruneRule {
  /** Results older than this, in milliseconds. */
  readonly maxAgeMs?: number;
  /** All but this many of the newest results. */
  readonly maxCount?: number;
}

/** How one lookup may wait. */
export interface LookupOptions {
  /** Wait at most this long, in milliseconds; never longer than `maxExpectedOracleDelayMs`. */
  readonly waitMs?: number;
  /** Ends the waiting when the client goes away; an `AbortSignal` will do. */
  readonly signal?: ClientSignal;
}

const KEY = /^[0-9a-fA-F]{64}$/;
const PRUNE_AT_ONCE = 64;

/** Reads a key: 64 hex digits in either case, or `undefined`. */
export const tryParseKey = (text: string): string | undefined =>
  KEY.test(text) ? text.toLowerCase() : undefined;

/**
 * Decryption results by ciphertext handle, with waiting: a lookup of a key that is not there waits for the write.
 * A write is durable before any waiter hears of it and before it is acknowledged; the writes of one key happen one
 * after another, so that what waiters hear last is what the store holds.
 */
export class DecryptionService {
  readonly #table: DecryptionTable;
  readonly #waiters: Waiters<WaiterNews>;
  readonly #writers = new KeyedLock<string>();
  readonly #scheduler: Scheduler;
  readonly #metrics: DecryptionMetrics;
  readonly #overwrite: boolean;
  readonly #maxSignatures: number;
  /** Longest wait of a lookup, in milliseconds. */
  readonly maxExpectedOracleDelayMs: number;
  #closed = false;

  private constructor(table: DecryptionTable, options: DecryptionServiceOptions) {
    this.#table = table;
    this.#waiters = new Waiters(options.maxWaiters ?? 16_384);
    this.#scheduler = options.scheduler ?? systemScheduler;
    this.#metrics = options.metrics ?? noMetrics;
    this.#overwrite = options.overwrite ?? true;
    this.#maxSignatures = options.maxSignaturesPerKey ?? 64;
    this.maxExpectedOracleDelayMs = options.maxExpectedOracleDelayMs ?? 7000;
  }

  /** Opens the service on a store, which stays the caller's to close. */
  static async open(store: Store, options: DecryptionServiceOptions = {}): Promise<DecryptionService> {
    return new DecryptionService(await DecryptionTable.open(store), options);
  }

  /** Number of results. */
  get size(): number {
    return this.#table.size;
  }

  /** Whether a result is there at this very moment. */
  has(key: string): boolean {
    return this.#table.has(key);
  }

  /** Requests that wait now. */
  get waiting(): number {
    return this.#waiters.count;
  }

  /** Keys that somebody waits for or writes now: what the service holds in memory beside the store. */
  get keysInMemory(): number {
    return this.#waiters.keys + this.#writers.size;
  }

  /**
   * The result of a key (64 lower-case hex digits); waits for it if it is not there yet.
   * @returns `undefined` when it did not come in time, or the client went away.
   * @throws ProblemError DECRYPTION_WAITERS_FULL or DECRYPTION_SERVICE_CLOSED.
   */
  get(key: string, options: LookupOptions = {}): Promise<Decryption | undefined> {
    if (this.#closed) return Promise.reject(closed());
    const limit = this.maxExpectedOracleDelayMs;
    return waitForDecryption(
      { table: this.#table, waiters: this.#waiters, scheduler: this.#scheduler, metrics: this.#metrics },
      key,
      { ...options, waitMs: Math.min(options.waitMs ?? limit, limit) },
    );
  }

  /**
   * Stores a result and wakes who waits for it; durable when it resolves.
   * @throws RefusalError DECRYPTION_CONFLICT when another is there and the service does not overwrite.
   */
  put(key: string, decryption: Decryption): Promise<WriteOutcome> {
    return this.#write(key, async () => {
      const present = await this.#table.result(key);
      if (this.#unchanged(key, present, decryption)) return 'unchanged';
      await this.#table.write(key, { result: this.#stamp(decryption) }, present);
      this.#publish(key, decryption);
      return 'written';
    });
  }

  /**
   * Stores one oracle's answer beside those of the others. The first one is the result of the key as well.
   * @throws RefusalError DECRYPTION_CONFLICT as {@link put}, or DECRYPTION_SIGNATURES_FULL.
   */
  putSignature(key: string, oracle: string, decryption: Decryption): Promise<WriteOutcome> {
    return this.#write(key, async () => {
      const present = await this.#table.signature(key, oracle);
      if (this.#unchanged(key, present, decryption)) return 'unchanged';
      if (present === undefined && this.#table.signatureCount(key) >= this.#maxSignatures) {
        throw new RefusalError('DECRYPTION_SIGNATURES_FULL', `${key} has ${this.#maxSignatures} signatures`);
      }
      const stored = this.#stamp(decryption);
      const first = !this.#table.has(key);
      const signature = { ...stored, oracle };
      await this.#table.write(key, first ? { result: stored, signature } : { signature }, undefined);
      if (first) this.#publish(key, decryption);
      return 'written';
    });
  }

  /** The answers of single oracles, ordered by oracle; does not wait. */
  signatures(key: string): Promise<readonly OracleSignature[]> {
    return this.#table.signatures(key);
  }

  /** Removes a result and its oracles' signatures; false when there is none. */
  delete(key: string): Promise<boolean> {
    return this.#exclusively(key, async () => {
      const removed = await this.#table.remove(key);
      if (removed) this.#metrics.removed(1);
      return removed;
    });
  }

  /** Removes old results. @returns how many. @throws RangeError for a negative rule. */
  async prune({ maxAgeMs, maxCount }: PruneRule): Promise<number> {
    for (const limit of [maxAgeMs, maxCount]) {
      if (limit !== undefined && !(limit >= 0)) throw new RangeError(`cannot prune by ${limit}`);
    }
    const old = maxAgeMs === undefined ? [] : this.#table.keysBefore(this.#scheduler.nowMs() - maxAgeMs);
    const surplus = maxCount === undefined ? [] : this.#table.oldestKeys(this.#table.size - maxCount);
    const keys = [...new Set([...old, ...surplus])];
    let removed = 0;
    for (let start = 0; start < keys.length; start += PRUNE_AT_ONCE) {
      const gone = await Promise.all(keys.slice(start, start + PRUNE_AT_ONCE).map((key) => this.delete(key)));
      removed += gone.filter(Boolean).length;
    }
    return removed;
  }

  /** Sends everybody who waits away (DECRYPTION_SERVICE_CLOSED) and takes no more requests. */
  close(): void {
    this.#closed = true;
    this.#waiters.wakeAll({ kind: 'closed' });
    this.#metrics.waiting(0);
  }

  async #write(key: string, task: () => Promise<WriteOutcome>): Promise<WriteOutcome> {
    const outcome = await this.#exclusively(key, task);
    this.#metrics.write(outcome);
    return outcome;
  }

  async #exclusively<T>(key: string, task: () => Promise<T>): Promise<T> {
    if (this.#closed) throw closed();
    if (tryParseKey(key) !== key) {
      throw new EvidenceError('FIELD_INVALID', 'the key must be 64 lower-case hex digits', { field: 'key' });
    }
    return this.#writers.run(key, task);
  }

  #unchanged(key: string, present: Decryption | undefined, next: Decryption): boolean {
    if (present === undefined) return false;
    if (sameDecryption(present, next)) return true;
    if (this.#overwrite) return false;
    throw new RefusalError('DECRYPTION_CONFLICT', `another decryption is stored for ${key}`);
  }

  #stamp({ value, signature }: Decryption): StoredDecryption {
    return { value, signature, storedAtMs: this.#scheduler.nowMs() };
  }

  #publish(key: string, decryption: Decryption): void {
    if (this.#waiters.wake(key, { kind: 'put', decryption }) > 0) this.#metrics.waiting(this.#waiters.count);
  }
}

const closed = (): ProblemError =>
  new ProblemError('DECRYPTION_SERVICE_CLOSED', 'the decryption service is shutting down');
