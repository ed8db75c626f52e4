import { requireBoolean, requireInteger } from '../bytes/require-value.ts';
import { EvidenceError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import type { Store } from '../store/api/store-api.ts';
import type { ClientSignal } from './client-signal.ts';
import { copyDecryption, type Decryption, type StoredDecryption } from './decryption.ts';
import {
  type Change,
  type DecryptionTable,
  type EngineHealth,
  type KeyState,
  type OracleSignature,
  sameDecryption,
  type WriteOrder,
} from './decryption-table.ts';
import { type DecryptionMetrics, noMetrics, type WriteOutcome } from './metrics.ts';
import { type Scheduler, systemScheduler } from './scheduler.ts';
import { StoreTable } from './store-table.ts';
import { inPlace, type WaiterNews, waitForDecryption } from './wait-for-decryption.ts';
import { Waiters } from './waiters.ts';
import { WriteQueues } from './write-queues.ts';

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
const READ_AGAIN_AT_ONCE = 256;
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
  readonly #writers = new WriteQueues();
  readonly #scheduler: Scheduler;
  readonly #metrics: DecryptionMetrics;
  readonly #overwrite: boolean;
  readonly #maxSignatures: number;
  /** Longest wait of a lookup, in milliseconds. */
  readonly maxExpectedOracleDelayMs: number;
  readonly #stopListening: () => void;
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
    this.#stopListening = table.listen({
      wants: (key) => this.#waiters.has(key),
      wrote: (key, decryption, revision) => this.#publish(key, decryption, revision),
      missed: () => void this.#readAgain(),
    });
  }

  /**
   * Opens the service on a store, which the caller closes.
   * @throws RangeError or TypeError for an option that is no integer or no boolean.
   */
  static async open(store: Store, options: DecryptionServiceOptions = {}): Promise<DecryptionService> {
    return new DecryptionService(await StoreTable.open(store), options);
  }

  /**
   * The service on a table of any engine, which the caller closes.
   * @throws as {@link open}.
   */
  static on(table: DecryptionTable, options: DecryptionServiceOptions = {}): DecryptionService {
    return new DecryptionService(table, options);
  }

  /** Number of results. */
  size(): Promise<number> {
    return this.#table.size();
  }

  /** Whether there is a result in this very step; `undefined` where the engine has to be asked over a network. */
  hasNow(key: string): boolean | undefined {
    return this.#table.hasNow(key);
  }

  /** Whether the engine works now. */
  health(): EngineHealth {
    return this.#table.health();
  }

  /** Order of signed writes over all instances; `undefined` where this is the only instance. */
  get writeOrder(): WriteOrder | undefined {
    return this.#table.writeOrder;
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
    return this.#write(key, undefined, ({ present }) =>
      this.#unchanged(key, present, copy) ? undefined : { result: this.#stamp(copy) },
    );
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
    return this.#write(key, oracle, ({ present, hasResult, signatures }) => {
      if (this.#unchanged(key, present, copy)) return undefined;
      if (present === undefined && signatures >= this.#maxSignatures) {
        throw new RefusalError('DECRYPTION_SIGNATURES_FULL', `${key} has ${this.#maxSignatures} signatures`);
      }
      const stored = this.#stamp(copy);
      const signature = { ...stored, oracle };
      return hasResult ? { signature } : { result: stored, signature };
    });
  }

  /** The answers of single oracles, ordered by oracle; does not wait. @throws ProblemError DECRYPTION_WAITERS_FULL. */
  async signatures(key: string): Promise<readonly OracleSignature[]> {
    requireKey(key);
    const ask = () => this.#table.signatures(key);
    return this.#table.hasNow(key) === undefined ? inPlace(this.#waiters, key, ask) : ask();
  }

  /** Removes a result and its oracles' signatures; false when there is none. */
  delete(key: string): Promise<boolean> {
    return this.#remove(key);
  }

  /** Removes old results. @returns how many. @throws RangeError for a limit that is no integer from 0. */
  async prune({ maxAgeMs, maxCount }: PruneRule): Promise<number> {
    for (const [name, limit] of Object.entries({ maxAgeMs, maxCount }))
      if (limit !== undefined) requireInteger(limit, name);
    const before = maxAgeMs === undefined ? 0 : this.#scheduler.nowMs() - maxAgeMs;
    let removed = 0;
    for (;;) {
      // Total and entries are of one step, so that instances that prune at the same time remove no more than the surplus.
      const { total, entries } = await this.#table.oldest(PRUNE_AT_ONCE);
      const surplus = maxCount === undefined ? 0 : total - maxCount;
      const old = entries.filter(({ storedAtMs }, index) => storedAtMs < before || index < surplus);
      const gone = await Promise.all(old.map(({ key, storedAtMs }) => this.#remove(key, storedAtMs)));
      const count = gone.filter(Boolean).length;
      removed += count;
      if (count === 0) return removed;
    }
  }

  /** Ends all waiting requests with DECRYPTION_SERVICE_CLOSED, and refuses new requests. */
  close(): void {
    this.#closed = true;
    this.#stopListening();
    this.#waiters.wakeAll({ kind: 'closed' });
    this.#metrics.waiting(0);
  }

  async #write(
    key: string,
    oracle: string | undefined,
    decide: (state: KeyState) => Change,
  ): Promise<WriteOutcome> {
    const outcome = await this.#exclusively(key, async () => {
      let result: Decryption | undefined;
      const revision = await this.#table.update(key, oracle, (state) => {
        const change = decide(state);
        result = change?.result;
        return change;
      });
      if (revision === undefined) return 'unchanged';
      if (result !== undefined) this.#publish(key, result, revision);
      return 'written';
    });
    this.#metrics.write(outcome);
    return outcome;
  }

  #remove(key: string, storedAtMs?: number): Promise<boolean> {
    return this.#exclusively(key, async () => {
      const removed = await this.#table.remove(key, storedAtMs);
      if (removed) this.#metrics.removed(1);
      return removed;
    });
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

  #publish(key: string, { value, signature }: Decryption, revision: number): void {
    const news = { kind: 'put', decryption: { value, signature }, revision } as const;
    if (this.#waiters.wake(key, news) > 0) this.#metrics.waiting(this.#waiters.count);
  }

  /** Writes may have been missed. Where a read fails, the waiters find the result at their deadline. */
  async #readAgain(): Promise<void> {
    const keys = this.#waiters.names();
    for (let start = 0; start < keys.length && !this.#closed; start += READ_AGAIN_AT_ONCE) {
      const some = keys.slice(start, start + READ_AGAIN_AT_ONCE);
      await Promise.allSettled(
        some.map(async (key) => {
          const { result, revision } = await this.#table.read(key);
          if (result !== undefined) this.#publish(key, result, revision);
        }),
      );
    }
  }
}

function requireKey(key: string): void {
  if (typeof key === 'string' && tryParseKey(key) === key) return;
  throw new EvidenceError('FIELD_INVALID', 'the key must be 64 lower-case hex digits', { field: 'key' });
}

const closed = (): ProblemError =>
  new ProblemError('DECRYPTION_SERVICE_CLOSED', 'the decryption service is shutting down');
