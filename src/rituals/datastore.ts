import { copyBytes } from '../bytes/copy-bytes.ts';
import { requireInteger } from '../bytes/require-value.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { Namespace, ReadableNamespace, Store } from '../store/api/store-api.ts';
import { SealedStore } from '../store/sealed-store.ts';
import type { RestoreOptions } from '../store/store-options.ts';
import { type DecryptionInputs, judgeDecryption } from './decryption-inputs.ts';
import { FragmentTable } from './fragment-table.ts';
import { askGuard, type Guard, type GuardedRitual, type RitualOperation } from './guard.ts';
import type { Fields, RecordId, RecordType, RecordValues } from './record-type.ts';
import {
  type FoundRecord,
  queryRecords,
  type RecordQuery,
  readRecord,
  requireRecord,
} from './record-view.ts';
import { type Ritual, type RitualReference, timeBound, timeName } from './ritual.ts';
import {
  type ActiveRitual,
  copyActiveRitual,
  copyPhaseId,
  copyValidators,
  type PhaseId,
  RitualCache,
  type Validator,
} from './ritual-cache.ts';
import { runTransaction, type Transaction } from './transaction.ts';

/** How the datastore behaves. */
export interface DatastoreOptions {
  /** Asked before every operation on fragments and cache. Typed records have no guard. */
  readonly authorize?: Guard;
}

/** Which rituals to list. */
export interface ListOptions {
  /** First and last unix time in seconds, both inclusive. */
  readonly from?: number;
  readonly until?: number;
  /** Newest first. */
  readonly reverse?: boolean;
  /** Only rituals that follow this one in the order of the list. It continues a list that a limit ended. */
  readonly after?: RitualReference;
  /** At most this many. */
  readonly limit?: number;
}

const RECORDS = 'rituals/records';

/**
 * A node's fragments of many rituals, what it caches about them, and typed records, on a sealed store. A fragment is
 * written once: the same bytes again write nothing, other bytes are a conflict. Deleting erases it cryptographically.
 */
export class Datastore {
  readonly #store: Store;
  readonly #fragments: FragmentTable;
  readonly #cache: RitualCache;
  readonly #records: Namespace;
  readonly #authorize: Guard | undefined;

  private constructor(
    store: Store,
    parts: { readonly fragments: FragmentTable; readonly cache: RitualCache; readonly records: Namespace },
    options: DatastoreOptions,
  ) {
    this.#store = store;
    this.#fragments = parts.fragments;
    this.#cache = parts.cache;
    this.#records = parts.records;
    this.#authorize = options.authorize;
  }

  /**
   * Opens the datastore on a store, and creates it there on first use. Finishes erasures that a crash interrupted. The
   * caller closes the store.
   */
  static async initialize(store: Store, options: DatastoreOptions = {}): Promise<Datastore> {
    const { authorize } = options;
    if (authorize !== undefined && typeof authorize !== 'function')
      throw new TypeError(
        `authorize must be a function, got ${authorize === null ? 'null' : typeof authorize}`,
      );
    const fragments = await FragmentTable.open(store);
    const cache = await RitualCache.open(store);
    return new Datastore(store, { fragments, cache, records: await store.namespace(RECORDS) }, options);
  }

  /**
   * Makes a store out of a backup in an empty place, opens it, and the datastore on it. Everything is verified first.
   * @param backup `storeKey` is the key that the store had when the backup was made.
   * @returns the datastore and its store, which the caller closes.
   * @throws EvidenceError that names the fault of the backup, the key or the place; then no file is left there.
   */
  static async restore(
    backup: RestoreOptions,
    options: DatastoreOptions = {},
  ): Promise<{ readonly store: SealedStore; readonly datastore: Datastore }> {
    await SealedStore.restore(backup);
    const { source: _source, newStoreKey = backup.storeKey, ...place } = backup;
    const store = await SealedStore.open({ ...place, storeKey: newStoreKey });
    try {
      return { store, datastore: await Datastore.initialize(store, options) };
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Number of fragments. */
  get count(): number {
    return this.#fragments.count;
  }

  /**
   * Stores a fragment; durable when it resolves.
   * @param timestamp unix time in seconds.
   * @returns whether it was written: false when the same bytes were stored before; the first timestamp is kept.
   * @throws RefusalError RITUAL_CONFLICT when other bytes are there, or the guard's refusal.
   */
  async storeFragment(id: number, timestamp: number, fragment: Uint8Array): Promise<boolean> {
    requireInteger(id, 'ritual id');
    requireInteger(timestamp, 'timestamp');
    // The caller may change its array while the guard is asked.
    const copy = copyBytes(fragment, 'fragment');
    await this.#ask('store', { id, timestamp });
    return this.#fragments.store({ id, timestamp, fragment: copy });
  }

  /** The fragment of a ritual. @throws EvidenceError RITUAL_NOT_FOUND, or the guard's refusal. */
  async retrieveFragment(id: number): Promise<Ritual> {
    await this.#askAbout('retrieve', id);
    const ritual = await this.#fragments.retrieve(id);
    if (ritual === undefined) throw notFound(id);
    return ritual;
  }

  /**
   * The fragment with all that a share of a threshold decryption is made of, for an active ritual of this validator.
   * The guard must allow `retrieve` and `cache`.
   * @param validator The node's own address, exactly as it was stored.
   * @param nowSeconds Unix time.
   * @throws EvidenceError RITUAL_NOT_FOUND, RefusalError RITUAL_NOT_ACTIVE, RITUAL_EXPIRED, RITUAL_NOT_PARTICIPANT, or
   *   the guard's refusal.
   */
  async decryptionInputs(id: number, validator: string, nowSeconds: number): Promise<DecryptionInputs> {
    await this.#askAbout('retrieve', id);
    await this.#askAbout('cache', id);
    const [ritual, validators] = [await this.#cache.activeRitual(id), await this.#cache.validators(id)];
    const judged = judgeDecryption(id, { ritual, validators }, validator, nowSeconds);
    // Read last, so that a fragment that is revoked during these reads is not given.
    const found = await this.#fragments.retrieve(id);
    if (found === undefined) throw notFound(id);
    return { ...found, ...judged };
  }

  /**
   * Revokes a fragment: destroys the key under which it lies on the disk; durable when it resolves. Stored again,
   * it gets another key.
   * @throws EvidenceError RITUAL_NOT_FOUND, or the guard's refusal.
   */
  async deleteFragment(id: number): Promise<void> {
    await this.#askAbout('delete', id);
    if (!(await this.#fragments.erase(id))) throw notFound(id);
  }

  /** Rituals by time, then by id. */
  async list({
    from = 0,
    until,
    reverse = false,
    after,
    limit,
  }: ListOptions = {}): Promise<readonly RitualReference[]> {
    if (limit !== undefined) requireInteger(limit, 'limit');
    await this.#ask('list', { id: undefined, timestamp: undefined });
    // All names have the same length, so a name with one more character sorts directly after it.
    const starts = [timeBound(from), ...(after === undefined || reverse ? [] : [`${timeName(after)}0`])];
    const ends = [
      ...(until === undefined ? [] : [`${timeBound(until)}0`]),
      ...(after === undefined || !reverse ? [] : [timeName(after)]),
    ];
    const [before] = ends.sort();
    return [
      ...this.#fragments.byTime({
        from: starts.sort().at(-1) ?? '',
        reverse,
        ...(before === undefined ? {} : { before }),
        ...(limit === undefined ? {} : { limit }),
      }),
    ];
  }

  /** Rituals stored at the cutoff (unix time in seconds) or earlier, oldest first. */
  findExpired(cutoff: number): Promise<readonly RitualReference[]> {
    return this.list({ until: cutoff });
  }

  /** Keeps a transaction of a phase, as opaque bytes. */
  async storePhaseTransaction(phase: PhaseId, transaction: Uint8Array): Promise<void> {
    const [id, copy] = [copyPhaseId(phase), copyBytes(transaction, 'transaction')];
    await this.#askAbout('cache', id.ritualId);
    await this.#cache.storePhaseTransaction(id, copy);
  }

  async phaseTransaction(phase: PhaseId): Promise<Uint8Array | undefined> {
    const id = copyPhaseId(phase);
    await this.#askAbout('cache', id.ritualId);
    return this.#cache.phaseTransaction(id);
  }

  /** Removes the transaction if its bytes are still these; otherwise it returns false and writes nothing. */
  async clearPhaseTransaction(phase: PhaseId, transaction: Uint8Array): Promise<boolean> {
    const [id, copy] = [copyPhaseId(phase), copyBytes(transaction, 'transaction')];
    await this.#askAbout('cache', id.ritualId);
    return this.#cache.clearPhaseTransaction(id, copy);
  }

  /** Keeps the validators of a ritual, in order. */
  async storeValidators(id: number, validators: readonly Validator[]): Promise<void> {
    const copies = copyValidators(validators);
    await this.#askAbout('cache', id);
    await this.#cache.storeValidators(id, copies);
  }

  /** The validators of a ritual; `undefined` when there are none. */
  async validators(id: number): Promise<readonly Validator[] | undefined> {
    await this.#askAbout('cache', id);
    return this.#cache.validators(id);
  }

  /** @throws RefusalError RITUAL_NOT_ACTIVE unless all validators have aggregated. */
  async storeActiveRitual(ritual: ActiveRitual): Promise<void> {
    const copy = copyActiveRitual(ritual);
    await this.#askAbout('cache', copy.id);
    await this.#cache.storeActiveRitual(copy);
  }

  async activeRitual(id: number): Promise<ActiveRitual | undefined> {
    await this.#askAbout('cache', id);
    return this.#cache.activeRitual(id);
  }

  /** Removes transactions, validators and active ritual of an id, in one step, but not the fragment. */
  async clear(id: number): Promise<void> {
    await this.#askAbout('cache', id);
    await this.#cache.clear(id);
  }

  /** Keeps the number of the last block that the event scanner has finished. */
  storeScannerCursor(block: number): Promise<void> {
    return this.#cache.storeScannerCursor(block);
  }

  scannerCursor(): Promise<number | undefined> {
    return this.#cache.scannerCursor();
  }

  /** The values of a typed record. @throws EvidenceError RECORD_NOT_FOUND, TypeError for a value of another type. */
  async describe<F extends Fields>(type: RecordType<F>, id: RecordId): Promise<RecordValues<F>> {
    return this.#consistently(async (records) =>
      requireRecord(type, id, await readRecord(records, type, id)),
    );
  }

  /** Typed records, ordered by id: integers ascending, then strings. @throws EvidenceError RECORD_NOT_FOUND. */
  async queryBy<F extends Fields>(
    type: RecordType<F>,
    query: RecordQuery<F> = {},
  ): Promise<readonly FoundRecord<F>[]> {
    return this.#consistently((records) => queryRecords(records, type, query));
  }

  /**
   * Writes typed records, all of them or none; transactions run one after another.
   * @throws ProblemError TRANSACTION_ABORTED, with `cause`, when an error escapes; nothing was written.
   */
  transaction<T>(work: (transaction: Transaction) => Promise<T> | T): Promise<T> {
    return runTransaction(this.#store, this.#records, work);
  }

  async #consistently<T>(read: (records: ReadableNamespace) => Promise<T>): Promise<T> {
    const snapshot = this.#store.snapshot();
    try {
      return await read(snapshot.namespace(RECORDS));
    } finally {
      snapshot.release();
    }
  }

  async #askAbout(operation: RitualOperation, id: number): Promise<void> {
    requireInteger(id, 'ritual id');
    if (this.#authorize === undefined) return;
    await this.#ask(operation, { id, timestamp: await this.#fragments.timestampOf(id) });
  }

  #ask(operation: RitualOperation, ritual: GuardedRitual): Promise<void> {
    return askGuard(this.#authorize, operation, ritual);
  }
}

const notFound = (id: number): EvidenceError =>
  new EvidenceError('RITUAL_NOT_FOUND', `there is no fragment for ritual ${id}`);
