import { z } from 'zod';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { parseWire } from '../../protocol/decode.ts';
import { emptyLedger, type Ledger, type ReplicaStore } from '../../ring/replication/entry.ts';
import type { Namespace, Store } from '../../store/api/store-api.ts';
import { RING_NAMESPACE } from './ring-state.ts';

/** Where the copies of records lie. */
export const RECORDS_NAMESPACE = 'latchkey/ring-records';
const LEDGER = 'ledger';
/** How long a look at the free space of the disk counts. */
const LOOK_EVERY_MS = 1_000;

const ledger = z.strictObject({
  purgedAtMs: z.number(),
  repairedAtMs: z.record(z.string(), z.number()),
});

/** What copies of records may take of the node's store. */
export interface ReplicaBounds {
  /** Bytes of all records together. */
  readonly maxBytes: number;
  /** Bytes of the disk that stay free for the node's own store. */
  readonly keepFreeBytes: number;
}

/**
 * The copies of this node in its sealed store. Only a store that takes writes takes them, and a write is on the disk when
 * its promise resolves. Bounded, so that records of users never take the room of the node's own.
 */
export class ReplicaRecords implements ReplicaStore {
  readonly #store: Pick<Store, 'health'>;
  readonly #records: Namespace;
  readonly #state: Namespace;
  readonly #bounds: ReplicaBounds;
  readonly #now: () => number;
  readonly #sizes = new Map<string, number>();
  #bytes = 0;
  #freeBytes = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** The look at the disk that is under way. */
  #look: Promise<void> | undefined;

  private constructor(
    store: Pick<Store, 'health'>,
    namespaces: { readonly records: Namespace; readonly state: Namespace },
    bounds: ReplicaBounds,
    now: () => number,
  ) {
    this.#store = store;
    this.#records = namespaces.records;
    this.#state = namespaces.state;
    this.#bounds = bounds;
    this.#now = now;
  }

  /** @throws what the store throws. */
  static async open(store: Store, bounds: ReplicaBounds, now: () => number): Promise<ReplicaRecords> {
    const records = await store.namespace(RECORDS_NAMESPACE);
    const state = await store.namespace(RING_NAMESPACE);
    return new ReplicaRecords(store, { records, state }, bounds, now);
  }

  /** How many records there are. */
  get count(): number {
    return this.#records.size;
  }

  /** Bytes of all records. */
  get bytes(): number {
    return this.#bytes;
  }

  get(id: string): Promise<Uint8Array | undefined> {
    return this.#records.get(id);
  }

  /**
   * Stores a copy. One that is smaller than the present one is taken whatever the bounds say: a full disk must not keep a
   * user from deleting a secret.
   * @throws ProblemError RING_FULL, and what the store throws, such as NODE_FENCED.
   */
  async put(id: string, bytes: Uint8Array): Promise<void> {
    await this.#lookAtDisk();
    this.#judgeRoom(id, bytes.length);
    const before = this.#sizes.get(id);
    // Counted before it is written, so that many writes at once do not all fit into the last place.
    this.#count(id, bytes.length);
    // Until the next look, each write takes its part.
    this.#freeBytes -= bytes.length;
    try {
      await this.#records.put(id, bytes);
    } catch (error) {
      this.#count(id, before);
      throw error;
    }
  }

  /**
   * Decides whether a copy of this size is taken, as {@link put} does.
   * @throws ProblemError RING_FULL.
   */
  async requireRoom(id: string, bytes: number): Promise<void> {
    await this.#lookAtDisk();
    this.#judgeRoom(id, bytes);
  }

  async delete(id: string): Promise<void> {
    await this.#records.delete(id);
    this.#count(id, undefined);
  }

  async *entries(): AsyncIterable<Uint8Array> {
    for await (const [id, bytes] of this.#records.entries()) {
      this.#count(id, bytes.length);
      yield bytes;
    }
  }

  async readLedger(): Promise<Ledger> {
    const bytes = await this.#state.get(LEDGER);
    if (bytes === undefined) return emptyLedger;
    return parseWire(ledger, JSON.parse(new TextDecoder().decode(bytes)), 'ledger of the ring');
  }

  async writeLedger(changed: Ledger): Promise<void> {
    await this.#state.put(LEDGER, new TextEncoder().encode(JSON.stringify(changed)));
  }

  async #lookAtDisk(): Promise<void> {
    const nowMs = this.#now();
    if (Math.abs(nowMs - this.#lookedAtMs) <= LOOK_EVERY_MS) return;
    // Many writes at once need one look.
    this.#look ??= this.#readFreeBytes(nowMs).finally(() => {
      this.#look = undefined;
    });
    await this.#look;
  }

  async #readFreeBytes(nowMs: number): Promise<void> {
    const { freeBytes = Number.POSITIVE_INFINITY } = await this.#store.health();
    this.#freeBytes = freeBytes;
    this.#lookedAtMs = nowMs;
  }

  #judgeRoom(id: string, bytes: number): void {
    const before = this.#sizes.get(id);
    if (before !== undefined && bytes < before) return;
    const left = this.#freeBytes - bytes;
    const { maxBytes, keepFreeBytes } = this.#bounds;
    if (left < keepFreeBytes)
      throw full(`${left} bytes free on the disk`, `${keepFreeBytes} or more (ring.keepFreeBytes)`);
    const grown = this.#bytes + bytes - (before ?? 0);
    if (grown > maxBytes) throw full(`${grown} bytes of records`, `${maxBytes} (ring.maxBytes)`);
  }

  #count(id: string, length: number | undefined): void {
    this.#bytes += (length ?? 0) - (this.#sizes.get(id) ?? 0);
    if (length === undefined) this.#sizes.delete(id);
    else this.#sizes.set(id, length);
  }
}

const full = (observed: string, expected: string): ProblemError =>
  new ProblemError('RING_FULL', `no room for a record of the ring: ${observed}`, {
    expected,
    observed,
    hint: 'the members of the ring keep what they have; give this node more room, or add members',
  });
