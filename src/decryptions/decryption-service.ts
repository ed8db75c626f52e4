import { requireBoolean, requireInteger } from '../bytes/require-value.ts';
import { EvidenceError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import type { Store } from '../store/api/store-api.ts';
import { KeyedLock } from '../store/keyed-lock.ts';
import type { ClientSignal } from './client-signal.ts';
import { copyDecryption, type Decryption, type StoredDecryption } from './decryption.ts';
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

/** Which results to prune: those that match either rule. */
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
  /** Ends the waiting when the client disconnects, as an `AbortSignal` does. */
  readonly signal?: ClientSignal;
}

const KEY = /^[0-9a-fA-F]{64}$/;
const ORACLE = /^[A-Za-z0-9_.-]{1,64}$/;
const PRUNE_AT_ONCE = 64;
/** Longest delay of a timer in milliseconds; Node treats a longer delay as 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Reads a key: 64 hex digits in either case, or `undefined`. */
export const tryParseKey = (text: string): string | undefined =>
  KEY.test(text) ? text.toLowerCase() : undefined;

/** Whether a text can name an oracle: 1 to 64 letters, digits, `_`, `.` and `-`. */
export const isOracleName = (text: string): boolean => typeof text === 'string' && ORACLE.test(text);

/**
 * Decryption results by ciphertext handle, with waiting: a lookup of a key that is not there waits for the write.
 * A write is durable before it wakes a waiter and before it is acknowledged. The writes of one key run one after
 * another, so that the last value that waiters receive is the stored one.
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
    const {
      maxExpectedOracleDelayMs = 7000,
      maxWaiters = 16_384,
      overwrite = true,
      maxSignaturesPerKey = 64,
    } = options;
    requireInteger(maxExpectedOracleDelayMs, 'maxExpectedOracleDelayMs', MAX_TIMER_MS);
    requireInteger(maxWaiters, 'maxWaiters');
    requireBoolean(overwrite, 'overwrite');
    requireInteger(maxSignaturesPerKey, 'maxSignaturesPerKey');
    this.#table = table;
    this.#waiters = new Waiters(maxWaiters);
    this.#scheduler = options.scheduler ?? systemScheduler;
    this.#metrics = options.metrics ?? noMetrics;
    this.#overwrite = overwrite;
    this.#maxSignatures = maxSignaturesPerKey;
    this.maxExpectedOracleDelayMs = maxExpectedOracleDelayMs;
  }

  /**
   * Opens the service on a store, which the caller closes.
   * @throws RangeError or TypeError for an option that is no integer or no boolean.
   */
  static async open(store: Store, options: DecryptionServiceOptions = {}): Promise<DecryptionService> {
    return new DecryptionService(await DecryptionTable.open(store), options);
  }

  /** Number of results. */
  get size(): number {
    return this.#table.size;
  }

  /** Whether there is a result now. */
  has(key: string): boolean {
    return this.#table.has(key);
  }

  /** Requests that wait now. */
  get waiting(): number {
    return this.#waiters.count;
  }

  /** Number of keys that requests wait for or write now: the memory of the service besides the store's. */
  get keysInMemory(): number {
    return this.#waiters.keys + this.#writers.size;
  }

  /**
   * The result of a key (64 lower-case hex digits); waits for it if it is not there yet.
   * @returns `undefined` when it did not come in time, or the client disconnected.
   * @throws ProblemError DECRYPTION_WAITERS_FULL or DECRYPTION_SERVICE_CLOSED. EvidenceError FIELD_INVALID for another
   *   key, RangeError for a `waitMs` that is no integer.
   */
  async get(key: string, options: LookupOptions = {}): Promise<Decryption | undefined> {
    if (this.#closed) throw closed();
    requireKey(key);
    const limit = this.maxExpectedOracleDelayMs;
    if (options.waitMs !== undefined) requireInteger(options.waitMs, 'waitMs');
    return waitForDecryption(
      { table: this.#table, waiters: this.#waiters, scheduler: this.#scheduler, metrics: this.#metrics },
      key,
      { ...options, waitMs: Math.min(options.waitMs ?? limit, limit) },
    );
  }

  /**
   * Stores a result and wakes the requests that wait for it; durable when it resolves.
   * @throws RefusalError DECRYPTION_CONFLICT when another is there and the service does not overwrite. TypeError or
   *   RangeError for a value or signature of another type or size.
   */
  async put(key: string, decryption: Decryption): Promise<WriteOutcome> {
    const copy = copyDecryption(decryption);
    return this.#write(key, async () => {
      const present = await this.#table.result(key);
      if (this.#unchanged(key, present, copy)) return 'unchanged';
      await this.#table.write(key, { result: this.#stamp(copy) }, present);
      this.#publish(key, copy);
      return 'written';
    });
  }

  /**
   * Stores the answer of one oracle in addition to those of other oracles. The first answer is also the result.
   * @param oracle 1 to 64 letters, digits, `_`, `.` and `-`.
   * @throws as {@link put}, and RefusalError DECRYPTION_SIGNATURES_FULL.
   */
  async putSignature(key: string, oracle: string, decryption: Decryption): Promise<WriteOutcome> {
    const copy = copyDecryption(decryption);
    if (!isOracleName(oracle)) {
      throw new EvidenceError('FIELD_INVALID', 'the oracle must be 1 to 64 letters, digits, _, . and -', {
        field: 'oracle',
      });
    }
    return this.#write(key, async () => {
      const present = await this.#table.signature(key, oracle);
      if (this.#unchanged(key, present, copy)) return 'unchanged';
      if (present === undefined && this.#table.signatureCount(key) >= this.#maxSignatures) {
        throw new RefusalError('DECRYPTION_SIGNATURES_FULL', `${key} has ${this.#maxSignatures} signatures`);
      }
      const stored = this.#stamp(copy);
      const first = !this.#table.has(key);
      const signature = { ...stored, oracle };
      await this.#table.write(key, first ? { result: stored, signature } : { signature }, undefined);
      if (first) this.#publish(key, copy);
      return 'written';
    });
  }

  /** The answers of single oracles, ordered by oracle; does not wait. */
  async signatures(key: string): Promise<readonly OracleSignature[]> {
    requireKey(key);
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

  /** Removes old results. @returns how many. @throws RangeError for a limit that is no integer from 0. */
  async prune({ maxAgeMs, maxCount }: PruneRule): Promise<number> {
    for (const [name, limit] of Object.entries({ maxAgeMs, maxCount }))
      if (limit !== undefined) requireInteger(limit, name);
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

  /** Ends all waiting requests with DECRYPTION_SERVICE_CLOSED, and refuses new requests. */
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
    requireKey(key);
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

function requireKey(key: string): void {
  if (typeof key === 'string' && tryParseKey(key) === key) return;
  throw new EvidenceError('FIELD_INVALID', 'the key must be 64 lower-case hex digits', { field: 'key' });
}

const closed = (): ProblemError =>
  new ProblemError('DECRYPTION_SERVICE_CLOSED', 'the decryption service is shutting down');
