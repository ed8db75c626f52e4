import { equalConstantTime } from '../crypto/constant-time.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import { KeyedLock } from '../store/keyed-lock.ts';
import type { BatchOperation, NameRange, Namespace, Store } from '../store/store-api.ts';
import {
  decodeTimestamp,
  encodeTimestamp,
  idText,
  parseTimeName,
  type Ritual,
  type RitualReference,
  timeName,
} from './ritual.ts';

const INDEX = 'rituals/index';
const FRAGMENTS = 'rituals/fragment/';
const FRAGMENT = 'fragment';

const indexName = (id: number): string => `id/${idText(id)}`;
const spaceOf = (id: number): string => `${FRAGMENTS}${idText(id)}`;

/** Several tables on one store share their locks. */
const locksOfStores = new WeakMap<Store, KeyedLock<number>>();

/**
 * Fragments, each in an erasable namespace of its own, so that revoking one destroys its key; and an index by id and
 * by time. Creating: the namespace first, then fragment and index in one batch. Erasing: the namespace first, then the
 * index. So whatever a crash leaves is a namespace without index or an index without namespace, and
 * {@link open} finishes either.
 */
export class FragmentTable {
  readonly #store: Store;
  readonly #index: Namespace;
  readonly #locks: KeyedLock<number>;

  private constructor(store: Store, index: Namespace, locks: KeyedLock<number>) {
    this.#store = store;
    this.#index = index;
    this.#locks = locks;
  }

  /** Opens the table and finishes what a crash interrupted. */
  static async open(store: Store): Promise<FragmentTable> {
    const locks = locksOfStores.get(store) ?? new KeyedLock<number>();
    locksOfStores.set(store, locks);
    const table = new FragmentTable(store, await store.namespace(INDEX), locks);
    await table.#finishInterrupted();
    return table;
  }

  /** When the ritual was stored, in unix seconds, or `undefined`. */
  async timestampOf(id: number): Promise<number | undefined> {
    const bytes = await this.#index.get(indexName(id));
    return bytes === undefined ? undefined : decodeTimestamp(bytes);
  }

  /**
   * Stores a fragment; durable when it resolves.
   * @returns false, and nothing written, when the same bytes are stored for this id already.
   * @throws RefusalError RITUAL_CONFLICT when other bytes are.
   */
  store({ id, timestamp, fragment }: Ritual): Promise<boolean> {
    return this.#locks.run(id, async () => {
      if (this.#index.has(indexName(id))) {
        const present = await this.#read(id);
        if (present !== undefined) {
          if (equalConstantTime(present, fragment)) return false;
          throw new RefusalError('RITUAL_CONFLICT', `another fragment is stored for ritual ${id}`);
        }
        await this.#unlist(id);
      }
      const space = await this.#store.namespace(spaceOf(id), { erasable: true });
      await this.#store.batch([
        { kind: 'put', namespace: space.name, name: FRAGMENT, value: fragment },
        { kind: 'put', namespace: INDEX, name: indexName(id), value: encodeTimestamp(timestamp) },
        { kind: 'put', namespace: INDEX, name: timeName({ id, timestamp }), value: new Uint8Array(0) },
      ]);
      return true;
    });
  }

  /** The fragment and its time, or `undefined`. */
  retrieve(id: number): Promise<Ritual | undefined> {
    // Locked, because opening the namespace of a ritual that is being erased would create it again.
    return this.#locks.run(id, async () => {
      const timestamp = await this.timestampOf(id);
      const fragment = timestamp === undefined ? undefined : await this.#read(id);
      return timestamp === undefined || fragment === undefined ? undefined : { id, timestamp, fragment };
    });
  }

  /** Erases a fragment by destroying its key; durable when it resolves. False when there is none. */
  erase(id: number): Promise<boolean> {
    return this.#locks.run(id, async () => {
      if (!this.#index.has(indexName(id))) return false;
      await this.#store.eraseNamespace(spaceOf(id));
      await this.#unlist(id);
      return true;
    });
  }

  /** Number of rituals; each has two entries in the index, written in one batch. */
  get count(): number {
    return this.#index.size / 2;
  }

  /** Rituals by time, then by id, within a range of {@link timeName}. */
  *byTime(range: Omit<NameRange, 'prefix'>): Generator<RitualReference> {
    for (const name of this.#index.names({ ...range, prefix: 'time/' })) yield parseTimeName(name);
  }

  async #read(id: number): Promise<Uint8Array | undefined> {
    return (await this.#store.namespace(spaceOf(id), { erasable: true })).get(FRAGMENT);
  }

  async #unlist(id: number): Promise<void> {
    const timestamp = await this.timestampOf(id);
    const operations: BatchOperation[] = [{ kind: 'delete', namespace: INDEX, name: indexName(id) }];
    if (timestamp !== undefined) {
      operations.push({ kind: 'delete', namespace: INDEX, name: timeName({ id, timestamp }) });
    }
    await this.#store.batch(operations);
  }

  async #finishInterrupted(): Promise<void> {
    const spaces = new Set(this.#store.namespaces().filter((name) => name.startsWith(FRAGMENTS)));
    const listed = [...this.#index.names({ prefix: 'id/' })].map((name) => Number(name.slice('id/'.length)));
    const unlisted = new Set(spaces);
    for (const id of listed) unlisted.delete(spaceOf(id));
    for (const id of listed.filter((listedId) => !spaces.has(spaceOf(listedId)))) {
      await this.#locks.run(id, () => this.#unlist(id));
    }
    for (const name of unlisted) {
      const id = Number(name.slice(FRAGMENTS.length));
      await this.#locks.run(id, async () => {
        // Another table on this store may have been about to list it.
        if (!this.#index.has(indexName(id))) await this.#store.eraseNamespace(name);
      });
    }
  }
}
