import type { BatchOperation, Store } from '../store/api/store-api.ts';
import { boxName, boxNumber, KeyBox } from './key-box.ts';
import { idText } from './ritual.ts';

/** A box that is about to be erased with some of the keys in it. */
interface Emptying {
  /** Ids of the keys that go with it, and what is written in the step in which they go. */
  readonly doomed: Map<number, readonly BatchOperation[]>;
  /** Whether more may join. */
  isCollecting: boolean;
  readonly done: Promise<void>;
}

/**
 * A key of its own for every ritual. A namespace for each would cost durable writes, memory and time at the start for
 * each; so the keys lie by the dozen in erasable namespaces, the boxes. Destroying one key moves the others out of its
 * box, in one batch with all else that changes, and then erases the box. What a crash leaves between the two is an
 * empty box, which the next start erases.
 */
export class RitualKeys {
  readonly #store: Store;
  readonly #boxOf = new Map<number, KeyBox>();
  /** The box that new keys go to. */
  #open: KeyBox | undefined;
  #opening: Promise<void> | undefined;
  #nextNumber = 1;
  readonly #emptyings = new Map<KeyBox, Emptying>();
  /** Emptyings follow one another, so that no box is emptied into one that is being emptied. */
  #lastEmptying: Promise<void> = Promise.resolve();
  /** Numbers of empty boxes that are still to be erased, and the ids whose keys go with them. */
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
      // It was moved between the two looks, or is just being moved.
      const emptying = this.#emptyings.get(box);
      if (emptying === undefined && this.#boxOf.get(id) === box) return undefined;
      await emptying?.done.catch(() => undefined);
    }
  }

  /** Writes the key of a ritual that has none, and `others` in the same step; durable when it resolves. */
  async put(id: number, key: Uint8Array, others: readonly BatchOperation[]): Promise<void> {
    await this.#withRoom((box) =>
      box.fill(async () => {
        await this.#store.batch([putKey(box, id, key), ...others]);
        this.#boxOf.set(id, box);
      }),
    );
  }

  /**
   * Destroys the key of a ritual, and writes `others` in the step in which it goes; durable when it resolves.
   * @returns false when there is none.
   */
  async destroy(id: number, others: readonly BatchOperation[]): Promise<boolean> {
    for (;;) {
      const box = this.#boxOf.get(id);
      if (box === undefined) return this.#finishDestroying(id);
      const emptying = this.#emptyings.get(box) ?? this.#startEmptying(box);
      if (emptying.isCollecting) {
        emptying.doomed.set(id, others);
        await emptying.done;
        return true;
      }
      // This key is being moved to another box.
      await emptying.done.catch(() => undefined);
    }
  }

  /** Erases the boxes that were emptied and whose erasure failed, or was cut off by a crash. */
  async finishErasing(): Promise<void> {
    for (const number of [...this.#emptied.keys()]) {
      await this.#store.eraseNamespace(boxName(number));
      this.#emptied.delete(number);
    }
  }

  /** The key is out of reach already when erasing its box has failed; then that is tried again. */
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

  /** Gives a box with room to `use`, which takes its place at once: others wait for one as well. */
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
    const doomed: Emptying['doomed'] = new Map();
    const done = this.#lastEmptying
      .then(() => this.#empty(box, emptying))
      .finally(() => this.#emptyings.delete(box));
    const emptying: Emptying = { doomed, isCollecting: true, done };
    this.#emptyings.set(box, emptying);
    this.#lastEmptying = done.catch(() => undefined);
    return emptying;
  }

  async #empty(box: KeyBox, emptying: Emptying): Promise<void> {
    await this.finishErasing();
    if (this.#open === box) this.#open = undefined;
    await box.settled();
    emptying.isCollecting = false;
    const { doomed } = emptying;
    const operations = [...doomed].flatMap(([id, others]) => [deleteKey(box, id), ...others]);
    const moved = await this.#moveOthers(box, doomed, operations);
    for (const [id, target] of moved) this.#boxOf.set(id, target);
    for (const id of doomed.keys()) this.#boxOf.delete(id);
    this.#emptied.set(box.number, new Set(doomed.keys()));
    await this.finishErasing();
  }

  /** Writes the operations, and moves all keys that are not doomed to other boxes in the same step. */
  async #moveOthers(
    box: KeyBox,
    doomed: ReadonlyMap<number, unknown>,
    operations: readonly BatchOperation[],
  ): Promise<ReadonlyMap<number, KeyBox>> {
    const moved = new Map<number, KeyBox>();
    const moves: BatchOperation[] = [];
    const keys: Uint8Array[] = [];
    for (const id of box.ids()) {
      const key = doomed.has(id) ? undefined : await box.key(id);
      if (key === undefined) continue;
      const target = await this.#withRoom((other) => {
        other.takePlace();
        return other;
      });
      moves.push(putKey(target, id, key), deleteKey(box, id));
      moved.set(id, target);
      keys.push(key);
    }
    await this.#store.batch([...operations, ...moves]);
    for (const key of keys) key.fill(0);
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
