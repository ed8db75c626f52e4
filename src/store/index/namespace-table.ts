import type { NamespaceState } from './namespace-state.ts';
import type { OrderedIndex } from './ordered-index.ts';

/** All namespaces and their indexes as they were at one moment. */
export interface FrozenTable {
  /** By name. */
  readonly namespaces: ReadonlyMap<string, NamespaceState>;
  /** In the order of their UTF-8 bytes. */
  names(): readonly string[];
  /** The index of a namespace as it was. */
  indexOf(space: NamespaceState): OrderedIndex;
  /** No more reads follow. */
  release(): void;
}

/** One snapshot: the indexes that changed after it and before the next one. */
interface View {
  readonly number: number;
  readonly saved: Map<NamespaceState, OrderedIndex>;
}

/**
 * All namespaces, by name and by number. A snapshot costs nothing when it is taken: the first change of the table
 * after it copies the table, and the first change of a namespace after it saves that namespace's index.
 */
export class NamespaceTable {
  #byName = new Map<string, NamespaceState>();
  readonly #byId = new Map<number, NamespaceState>();
  /** Erased namespaces, by name, with a wrapped key that could not be overwritten yet. */
  readonly halfErased = new Map<string, NamespaceState>();
  /** Number of the next namespace that is made. */
  nextId: number;
  /** The map of names is part of a snapshot, so the next change copies it. */
  #isShared = false;
  /** The names in order, while no namespace came or went. */
  #names: readonly string[] | undefined;
  /** Snapshots that may still be read, oldest first. */
  readonly #views: View[] = [];
  #lastView = 0;
  /** For which snapshot an index was saved last. */
  readonly #savedFor = new WeakMap<NamespaceState, number>();

  constructor(nextId: number) {
    this.nextId = nextId;
  }

  get(name: string): NamespaceState | undefined {
    return this.#byName.get(name);
  }

  byId(id: number): NamespaceState | undefined {
    return this.#byId.get(id);
  }

  /** Takes the number of a new namespace. */
  takeId(): number {
    this.nextId += 1;
    return this.nextId - 1;
  }

  add(space: NamespaceState): void {
    this.#beforeChange();
    this.#byName.set(space.name, space);
    this.#byId.set(space.id, space);
    this.nextId = Math.max(this.nextId, space.id + 1);
    // No snapshot that there is contains it.
    this.#savedFor.set(space, this.#lastView);
  }

  remove(space: NamespaceState): void {
    this.#beforeChange();
    this.#byId.delete(space.id);
    if (this.#byName.get(space.name) === space) this.#byName.delete(space.name);
  }

  all(): IterableIterator<NamespaceState> {
    return this.#byId.values();
  }

  get size(): number {
    return this.#byId.size;
  }

  /** All names, in the order of their UTF-8 bytes. */
  names(): readonly string[] {
    this.#names ??= sortedNames(this.#byName.keys());
    return this.#names;
  }

  /** The index of a namespace that is about to change; snapshots keep the one from before. */
  indexToChange(space: NamespaceState): OrderedIndex {
    const view = this.#views.at(-1);
    if (view !== undefined && (this.#savedFor.get(space) ?? 0) < view.number) {
      view.saved.set(space, space.index.freeze());
      this.#savedFor.set(space, view.number);
    }
    return space.index;
  }

  /** The present table; later changes do not affect it. */
  freeze(): FrozenTable {
    this.#lastView += 1;
    const view: View = { number: this.#lastView, saved: new Map() };
    this.#views.push(view);
    this.#isShared = true;
    const namespaces = this.#byName;
    let names = this.#names;
    return {
      namespaces,
      names: () => {
        names ??= sortedNames(namespaces.keys());
        return names;
      },
      indexOf: (space) => this.#indexAt(view, space),
      release: () => this.#release(view),
    };
  }

  /** What a namespace was at a snapshot was saved at its first change, which may have come after a later snapshot. */
  #indexAt(view: View, space: NamespaceState): OrderedIndex {
    for (const later of this.#views.slice(this.#views.indexOf(view))) {
      const saved = later.saved.get(space);
      if (saved !== undefined) return saved;
    }
    return space.index.freeze();
  }

  #release(view: View): void {
    const at = this.#views.indexOf(view);
    if (at === -1) return;
    this.#views.splice(at, 1);
    const older = this.#views[at - 1];
    if (older === undefined) return;
    for (const [space, index] of view.saved) if (!older.saved.has(space)) older.saved.set(space, index);
  }

  #beforeChange(): void {
    this.#names = undefined;
    if (!this.#isShared) return;
    this.#byName = new Map(this.#byName);
    this.#isShared = false;
  }
}

/** In the order of their UTF-8 bytes. */
const sortedNames = (names: Iterable<string>): readonly string[] =>
  [...names]
    .map((name) => ({ name, bytes: Buffer.from(name) }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ name }) => name);
