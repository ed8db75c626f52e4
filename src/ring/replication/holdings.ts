import { compareBytes } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import { ProblemError, RefusalError } from '../../errors/latchkey-error.ts';
import { manyAtOnce } from '../../store/many-at-once.ts';
import {
  emptyLedger,
  type Ledger,
  type RecordBounds,
  type RecordFormat,
  type ReplicaStore,
  type RingEntry,
} from './entry.ts';

/** What is known of a stored record without reading it. */
export interface HeldRecord {
  /** Lower-case hex. */
  readonly id: string;
  readonly order: Uint8Array;
  readonly expiresAtMs: number;
  /** Time of the chain when it was stored here; `undefined` when that was before the last start. */
  readonly storedAtMs: number | undefined;
}

/** What the records of a node are made of. */
export interface HoldingsParts {
  readonly format: RecordFormat;
  readonly store: ReplicaStore;
  /** Without it every record has room. */
  readonly isWithinBounds?: RecordBounds | undefined;
  /** Time of the newest view of the chain, in milliseconds. */
  readonly now: () => number;
}

/** How long a node may have been away for its copy to count: records are kept that long after they expire. */
export const TOO_OLD_MS = 30 * 86_400_000;

/** The records of one node, with an index in memory, and its ledger. */
export class Holdings {
  readonly format: RecordFormat;
  readonly #store: ReplicaStore;
  readonly #isWithinBounds: RecordBounds;
  readonly #now: () => number;
  readonly #index = new Map<string, HeldRecord>();
  /** Writes of one record run one after another. */
  readonly #writing = new Map<string, Promise<unknown>>();
  /** By the member that says so. */
  readonly #outlivedBy = new Map<string, ReadonlySet<string>>();
  #ledger: Ledger;
  #firstPurgeMs: number | undefined;
  /** No record is over before this time of the chain. */
  #nothingOverBeforeMs = Number.POSITIVE_INFINITY;
  /** Told of each change of the index at once: the record that is held now, if there is one. */
  onChange: (id: string, held: HeldRecord | undefined) => void = () => undefined;

  private constructor({ format, store, isWithinBounds = () => true, now }: HoldingsParts, ledger: Ledger) {
    this.format = format;
    this.#store = store;
    this.#isWithinBounds = isWithinBounds;
    this.#now = now;
    this.#ledger = ledger;
  }

  static async open(parts: HoldingsParts): Promise<Holdings> {
    const { format, store } = parts;
    const holdings = new Holdings(parts, await store.readLedger());
    for await (const bytes of store.entries()) holdings.#enter(format.read(bytes), undefined);
    return holdings;
  }

  /** What is held, in no order. */
  records(): Iterable<HeldRecord> {
    return this.#index.values();
  }

  find(id: string): HeldRecord | undefined {
    return this.#index.get(id);
  }

  /**
   * @throws ProblemError RING_NOT_READY when the disk does not have what was stored; the copy is missing from then on, so
   * that digests differ and repair fetches it again.
   */
  async read(id: string): Promise<RingEntry | undefined> {
    const entry = await this.#readStored(id);
    if (!this.#isLost(id, entry)) return entry;
    // Not while it is written or dropped.
    return this.#alone(id, async () => {
      const again = await this.#readStored(id);
      if (!this.#isLost(id, again)) return again;
      this.#forget(id);
      throw new ProblemError('RING_NOT_READY', 'the disk lost a record that was stored', {
        expected: id,
        retryAfterMs: 1000,
      });
    });
  }

  /** As {@link read}, for another member: what the disk lost is not there. */
  async copyOf(id: string): Promise<RingEntry | undefined> {
    return this.read(id).catch((error: unknown) => {
      if (error instanceof ProblemError && error.code === 'RING_NOT_READY') return undefined;
      throw error;
    });
  }

  async #readStored(id: string): Promise<RingEntry | undefined> {
    const bytes = await this.#store.get(id);
    return bytes === undefined ? undefined : this.format.read(bytes);
  }

  #isLost(id: string, entry: RingEntry | undefined): boolean {
    const held = this.#index.get(id);
    return held !== undefined && (entry === undefined || compareBytes(entry.order, held.order) < 0);
  }

  /**
   * Stores a record, durably, unless the present one is as new; gives what is held then.
   * @param isConfirmed whether other holders have it too, so that the bounds do not count.
   * @throws RefusalError RING_RECORD_REFUSED.
   */
  async keep(entry: RingEntry, isConfirmed = false): Promise<HeldRecord> {
    const id = toHex(entry.id);
    return this.#alone(id, async () => {
      const present = this.#index.get(id);
      if (present !== undefined && compareBytes(present.order, entry.order) >= 0) return present;
      // Nothing waits between this and the store, which counts the record at once: many writes do not all fit into the last place.
      if (!isConfirmed && !this.#isWithinBounds(entry))
        throw new RefusalError('RING_RECORD_REFUSED', 'this node has no room for a record of this owner');
      await this.#store.put(id, entry.bytes);
      return this.#enter(entry, this.#now());
    });
  }

  /**
   * As {@link keep}, for a copy of another member; one that is over and not here any more does not come back, or two
   * members would give it to each other for ever.
   * @returns false where the bounds refuse it: a copy that others do not confirm ends no round.
   */
  async keepCopy(entry: RingEntry, isConfirmed = false): Promise<boolean> {
    const isOver = entry.expiresAtMs + TOO_OLD_MS <= this.#now();
    if (isOver && !this.#index.has(toHex(entry.id))) return true;
    return this.keep(entry, isConfirmed).then(
      () => true,
      (error: unknown) => {
        if (error instanceof RefusalError && error.code === 'RING_RECORD_REFUSED') return false;
        throw error;
      },
    );
  }

  /** Throws a record away, unless it was replaced since. */
  async drop({ id, order }: HeldRecord): Promise<void> {
    await this.#alone(id, async () => {
      const present = this.#index.get(id);
      if (present === undefined || compareBytes(present.order, order) !== 0) return;
      await this.#store.delete(id);
      this.#forget(id);
    });
  }

  /**
   * Throws away what expired, and was stored, so long ago that a copy which lacks it is too old to count. A tombstone
   * goes no earlier, and so what it deleted cannot come back.
   */
  async purge(): Promise<void> {
    const now = this.#now();
    if (now < this.#nothingOverBeforeMs) return;
    // A node knows the time again when it first hears of the chain, and not when it opens its store.
    this.#firstPurgeMs ??= now;
    const startedAtMs = this.#firstPurgeMs;
    const over: HeldRecord[] = [];
    let nextMs = Number.POSITIVE_INFINITY;
    for (const held of this.#index.values()) {
      const overAtMs = Math.max(held.expiresAtMs, held.storedAtMs ?? startedAtMs) + TOO_OLD_MS;
      if (overAtMs <= now) over.push(held);
      else nextMs = Math.min(nextMs, overAtMs);
    }
    if (over.length === 0) {
      this.#nothingOverBeforeMs = nextMs;
      return;
    }
    // First: a crash in between must not leave a purge that no ledger knows.
    await this.#remember({ ...this.#ledger, purgedAtMs: now });
    await manyAtOnce(over, (record) => this.drop(record));
  }

  /** Notes that a member has completed a repair with this node. @param beganAtMs in the time of the chain here. */
  async noteRepaired(account: string, beganAtMs: number): Promise<void> {
    const repairedAtMs = { ...this.#ledger.repairedAtMs, [account]: beganAtMs };
    await this.#remember({ ...this.#ledger, repairedAtMs });
  }

  /**
   * Whether a member may have missed a record that was purged here, by its last repair with this node. Its own clock
   * has no say.
   */
  outlived(account: string): boolean {
    const { purgedAtMs, repairedAtMs } = this.#ledger;
    // A repair at the very time when the record was stored may have come before it.
    return purgedAtMs > 0 && (repairedAtMs[account] ?? 0) <= purgedAtMs - TOO_OLD_MS;
  }

  /** Notes which members another one has outlived; it may have purged what never was here. */
  noteOutlived(by: string, accounts: readonly string[]): void {
    this.#outlivedBy.set(by, new Set(accounts));
  }

  /**
   * Whether the copy of a member does not count until it has caught up: this node or another one has outlived it. The
   * word of another one, which may lie or be gone, does not count against a member that has completed a repair here
   * since: what was purged elsewhere was here or there before it was.
   */
  isTooOld(account: string): boolean {
    if (this.outlived(account)) return true;
    const repairedAtMs = this.#ledger.repairedAtMs[account];
    if (repairedAtMs !== undefined && repairedAtMs > this.#now() - TOO_OLD_MS) return false;
    return [...this.#outlivedBy.values()].some((accounts) => accounts.has(account));
  }

  /** This node was the one that was away: what it purged, and whom it outlived, says nothing. */
  async resign(): Promise<void> {
    this.#outlivedBy.clear();
    await this.#remember(emptyLedger);
  }

  /** Time of the chain. */
  now(): number {
    return this.#now();
  }

  #enter({ id, order, expiresAtMs }: RingEntry, storedAtMs: number | undefined): HeldRecord {
    const held = { id: toHex(id), order, expiresAtMs, storedAtMs };
    this.#index.set(held.id, held);
    this.#nothingOverBeforeMs = Math.min(
      this.#nothingOverBeforeMs,
      Math.max(expiresAtMs, storedAtMs ?? 0) + TOO_OLD_MS,
    );
    this.onChange(held.id, held);
    return held;
  }

  #forget(id: string): void {
    this.#index.delete(id);
    this.onChange(id, undefined);
  }

  async #remember(ledger: Ledger): Promise<void> {
    this.#ledger = ledger;
    await this.#store.writeLedger(ledger);
  }

  async #alone<Result>(id: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#writing.get(id);
    const running = (async () => {
      await before?.catch(() => undefined);
      return work();
    })();
    this.#writing.set(id, running);
    try {
      return await running;
    } finally {
      if (this.#writing.get(id) === running) this.#writing.delete(id);
    }
  }
}
