import type { BatchOperation, Store } from '../store/api/store-api.ts';
import { boxName, boxNumber, KeyBox } from './key-box.ts';
import { idText } from './ritual.ts';

/** A box that is being erased, to destroy some of its keys. */
interface Emptying {
  /** Ids of the keys that are destroyed, each with the operations that are written in the same step. */
  readonly destroyed: Map<number, readonly BatchOperation[]>;
  /** Whether more keys may be added. */
  isCollecting: boolean;
  readonly done: Promise<void>;
}

/** A key that is moved to another box. */
interface Moved {
  readonly id: number;
  readonly target: KeyBox;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/**
 * A key of its own for every ritual. A namespace for each key would cost durable writes, memory and time at the start;
 * so up to 32 keys share an erasable namespace, a box. To destroy a key, the other keys of its box are moved to another
 * box, in one batch with all other changes, and then the box is erased. A crash between the two steps leaves an empty
 * box, which the next start erases.
 */
export class RitualKeys {
  readonly #store: Store;
  readonly #boxOf = new Map<number, KeyBox>();
  /** The box that new keys go to. */
  #open: KeyBox | undefined;
  #opening: Promise<void> | undefined;
  #nextNumber = 1;
  readonly #emptyings = new Map<KeyBox, Emptying>();
  /** Boxes are emptied one after another, so that no key is moved to a box that is being emptied. */
  #lastEmptying: Promise<void> = Promise.resolve();
  /** Numbers of empty boxes that must still be erased, each with the ids of the keys that were destroyed. */
  readonly #emptied = new Map<number, ReadonlySet<number>>();

  private constructor(store: Store) {
    this.#store = store;
  }

  /** Finds the boxes, and erases those that a crash left empty. No key is read. */
  static async open(store: Store): Promise<RitualKeys> {
    const keys = new RitualKeys(store);
    for (const name of store.namespaces()) {
      const number = boxNumber(name);
      if (number !== undefined)
        keys.#enter(new KeyBox(number, await store.namespace(name, { erasable: true })));
    }
    await keys.finishErasing();
    return keys;
  }

  /** Number of keys. */
  get size(): number {
    return this.#boxOf.size;
  }

  has(id: number): boolean {
    return this.#boxOf.has(id);
  }

  /** The 32 bytes of a ritual's key, or `undefined`. */
  async get(id: number): Promise<Uint8Array | undefined> {
    for (;;) {
      const box = this.#boxOf.get(id);
      const key = await box?.key(id);
      if (key !== undefined || box === undefined) return key;
      // The key was moved since its box was looked up, or is being moved.
      const emptying = this.#emptyings.get(box);
      if (emptying === undefined && this.#boxOf.get(id) === box) return undefined;
      await emptying?.done.catch(() => undefined);
    }
  }

  /** Writes the key of a ritual that has none, and `others` in the same step; durable when it resolves. */
  async put(id: number, key: Uint8Array, others: readonly BatchOperation[]): Promise<void> {
    await this.#withRoom((box) =>
      box.fill(async () => {
        try {
          await this.#store.batch([putKey(box, id, key), ...others]);
        } finally {
          // A store may have written it without an acknowledgement (WRITE_UNCERTAIN): what the store has counts.
          if (box.has(id)) this.#boxOf.set(id, box);
        }
      }),
    );
  }

  /**
   * Destroys the key of a ritual, and writes `others` in the same step; durable when it resolves.
   * @returns false when there is none.
   */
  async destroy(id: number, others: readonly BatchOperation[]): Promise<boolean> {
    for (;;) {
      const box = this.#boxOf.get(id);
      if (box === undefined) return this.#finishDestroying(id);
      const emptying = this.#emptyings.get(box) ?? this.#startEmptying(box);
      if (emptying.isCollecting) {
        emptying.destroyed.set(id, others);
        await emptying.done;
        return true;
      }
      // This key is being moved to another box.
      await emptying.done.catch(() => undefined);
    }
  }

  /** Erases the empty boxes that a failed erasure or a crash left. */
  async finishErasing(): Promise<void> {
    for (const number of [...this.#emptied.keys()]) {
      await this.#store.eraseNamespace(boxName(number));
      this.#emptied.delete(number);
    }
  }

  /** When erasing its box has failed, the key is no longer listed; then the erasure is tried again. */
  async #finishDestroying(id: number): Promise<boolean> {
    if (![...this.#emptied.values()].some((ids) => ids.has(id))) return false;
    await this.finishErasing();
    return true;
  }

  #enter(box: KeyBox): void {
    this.#nextNumber = Math.max(this.#nextNumber, box.number + 1);
    if (box.space.size === 0) this.#emptied.set(box.number, new Set());
    else if (!box.isFull) this.#open = box;
    for (const id of box.ids()) this.#boxOf.set(id, box);
  }

  /** Calls `use` with a box that has a free place, which it must reserve at once: other callers wait for places too. */
  async #withRoom<T>(use: (box: KeyBox) => T): Promise<Awaited<T>> {
    while (this.#open === undefined || this.#open.isFull) {
      this.#opening ??= this.#openNext().finally(() => {
        this.#opening = undefined;
      });
      await this.#opening;
    }
    return await use(this.#open);
  }

  async #openNext(): Promise<void> {
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    this.#open = new KeyBox(number, await this.#store.namespace(boxName(number), { erasable: true }));
  }

  #startEmptying(box: KeyBox): Emptying {
    const destroyed: Emptying['destroyed'] = new Map();
    const done = this.#lastEmptying
      .then(() => this.#empty(box, emptying))
      .finally(() => this.#emptyings.delete(box));
    const emptying: Emptying = { destroyed, isCollecting: true, done };
    this.#emptyings.set(box, emptying);
    this.#lastEmptying = done.catch(() => undefined);
    return emptying;
  }

  async #empty(box: KeyBox, emptying: Emptying): Promise<void> {
    await this.finishErasing();
    if (this.#open === box) this.#open = undefined;
    await box.settled();
    emptying.isCollecting = false;
    const { destroyed } = emptying;
    const operations = [...destroyed].flatMap(([id, others]) => [deleteKey(box, id), ...others]);
    const moved = await this.#placesForOthers(box, destroyed);
    const moves = moved.flatMap(({ id, target, key }) => [putKey(target, id, key), deleteKey(box, id)]);
    try {
      await this.#store.batch([...operations, ...moves]);
    } finally {
      // All of it in one step, or nothing; as in {@link put}, what the store has counts.
      if (box.space.size === 0) {
        for (const { id, target } of moved) this.#boxOf.set(id, target);
        for (const id of destroyed.keys()) this.#boxOf.delete(id);
        this.#emptied.set(box.number, new Set(destroyed.keys()));
      }
      for (const { key } of moved) key.fill(0);
    }
    await this.finishErasing();
  }

  /** The keys of a box that are not destroyed, each with a place that is reserved for it in another box. */
  async #placesForOthers(box: KeyBox, destroyed: ReadonlyMap<number, unknown>): Promise<readonly Moved[]> {
    const moved: Moved[] = [];
    for (const id of box.ids()) {
      const key = destroyed.has(id) ? undefined : await box.key(id);
      if (key === undefined) continue;
      const target = await this.#withRoom((other) => {
        other.takePlace();
        return other;
      });
      moved.push({ id, target, key });
    }
    return moved;
  }
}

const putKey = (box: KeyBox, id: number, key: Uint8Array): BatchOperation => ({
  kind: 'put',
  namespace: box.space.name,
  name: idText(id),
  value: key,
});

const deleteKey = (box: KeyBox, id: number): BatchOperation => ({
  kind: 'delete',
  namespace: box.space.name,
  name: idText(id),
});
