import { SecretBytes } from '../bytes/secret-bytes.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { type RandomSource, systemRandom } from '../crypto/random.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import type { BatchOperation, NameRange, Namespace, Store } from '../store/api/store-api.ts';
import { KeyedLock } from '../store/keyed-lock.ts';
import { damaged, openRitual, sealRitual, timestampOf } from './fragment-seal.ts';
import { idText, parseTimeName, type Ritual, type RitualReference, timeName } from './ritual.ts';
import { RitualKeys } from './ritual-keys.ts';

const FRAGMENTS = 'rituals/fragments';
const TIMES = 'rituals/times';
const KEY_BYTES = 32;

/** There is one table for each store: datastores on the same store share its locks and its index of keys. */
const tablesOfStores = new WeakMap<Store, Promise<FragmentTable>>();

/**
 * Fragments and an index of them by time. Each fragment is sealed under a key of its own, which a revocation destroys.
 * Storing is a single batch of key, fragment and index entry. Erasing is a single batch too, then the key is destroyed.
 */
export class FragmentTable {
  readonly #fragments: Namespace;
  readonly #times: Namespace;
  readonly #keys: RitualKeys;
  readonly #random: RandomSource;
  readonly #locks = new KeyedLock<number>();

  private constructor(
    parts: { readonly fragments: Namespace; readonly times: Namespace; readonly keys: RitualKeys },
    random: RandomSource,
  ) {
    this.#fragments = parts.fragments;
    this.#times = parts.times;
    this.#keys = parts.keys;
    this.#random = random;
  }

  /** Opens the table and finishes erasures that a crash or a failing disk interrupted. */
  static async open(store: Store, random: RandomSource = systemRandom): Promise<FragmentTable> {
    const known = tablesOfStores.get(store);
    if (known !== undefined) {
      const table = await known;
      await table.#keys.finishErasing();
      return table;
    }
    const opening = FragmentTable.#open(store, random);
    tablesOfStores.set(store, opening);
    opening.catch(() => tablesOfStores.delete(store));
    return opening;
  }

  static async #open(store: Store, random: RandomSource): Promise<FragmentTable> {
    const parts = {
      fragments: await store.namespace(FRAGMENTS),
      times: await store.namespace(TIMES),
      keys: await RitualKeys.open(store),
    };
    return new FragmentTable(parts, random);
  }

  /** Number of rituals. */
  get count(): number {
    return this.#keys.size;
  }

  /** When the ritual was stored, in unix seconds, or `undefined`. */
  async timestampOf(id: number): Promise<number | undefined> {
    const sealed = await this.#fragments.get(idText(id));
    return sealed === undefined ? undefined : timestampOf(id, sealed);
  }

  /**
   * Stores a fragment; durable when it resolves.
   * @returns false when the same bytes are stored for this id already; then it writes nothing.
   * @throws RefusalError RITUAL_CONFLICT when other bytes are stored for it.
   */
  store(ritual: Ritual): Promise<boolean> {
    const { id, fragment } = ritual;
    return this.#locks.run(id, async () => {
      const present = await this.#read(id);
      if (present !== undefined) {
        if (equalConstantTime(present.fragment, fragment)) return false;
        throw new RefusalError('RITUAL_CONFLICT', `another fragment is stored for ritual ${id}`);
      }
      const key = SecretBytes.adopt(this.#random(KEY_BYTES));
      try {
        const value = sealRitual(ritual, key, this.#random);
        await this.#keys.put(id, key.reveal(), [
          { kind: 'put', namespace: FRAGMENTS, name: idText(id), value },
          { kind: 'put', namespace: TIMES, name: timeName(ritual), value: new Uint8Array(0) },
        ]);
        return true;
      } finally {
        key.wipe();
      }
    });
  }

  /** The fragment and its time, or `undefined`. */
  retrieve(id: number): Promise<Ritual | undefined> {
    // Locked, so that no revocation runs between reading the fragment and reading its key.
    return this.#locks.run(id, () => this.#read(id));
  }

  /** Erases a fragment by destroying its key; durable when it resolves. False when there is none. */
  erase(id: number): Promise<boolean> {
    return this.#locks.run(id, async () => {
      const timestamp = await this.timestampOf(id);
      const unlisting: readonly BatchOperation[] =
        timestamp === undefined
          ? []
          : [
              { kind: 'delete', namespace: FRAGMENTS, name: idText(id) },
              { kind: 'delete', namespace: TIMES, name: timeName({ id, timestamp }) },
            ];
      return this.#keys.destroy(id, unlisting);
    });
  }

  /** Rituals by time, then by id, within a range of {@link timeName}. */
  *byTime(range: Omit<NameRange, 'prefix'>): Generator<RitualReference> {
    for (const name of this.#times.names(range)) yield parseTimeName(name);
  }

  async #read(id: number): Promise<Ritual | undefined> {
    if (!this.#keys.has(id)) return undefined;
    const sealed = await this.#fragments.get(idText(id));
    const bytes = await this.#keys.get(id);
    if (sealed === undefined || bytes === undefined) throw damaged(id);
    const key = SecretBytes.adopt(bytes);
    try {
      return openRitual(id, sealed, key);
    } finally {
      key.wipe();
    }
  }
}
