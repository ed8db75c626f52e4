import type { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import { OrderedIndex } from './ordered-index.ts';
import type { Effect } from '../commit/write-group.ts';

/** What the store keeps in memory of one namespace. */
export interface NamespaceState {
  readonly id: number;
  readonly name: string;
  /** Where the wrapped key is in the keys file; `undefined` for a namespace that cannot be erased. */
  readonly keySlot: number | undefined;
  /** The namespace's own key; `undefined` for a plain one, and for one whose key is gone. */
  readonly key: XChaCha20Key | undefined;
  index: OrderedIndex;
  /** The last write of each name that is not durable yet. */
  readonly pending: Map<string, Effect>;
  erased: boolean;
}

/** A namespace without records. */
export const newNamespaceState = (
  id: number,
  name: string,
  keySlot: number | undefined,
  key: XChaCha20Key | undefined,
): NamespaceState => ({
  id,
  name,
  keySlot,
  key,
  index: new OrderedIndex(),
  pending: new Map(),
  erased: false,
});

/** All namespaces, by name and by number. */
export class NamespaceTable {
  readonly #byName = new Map<string, NamespaceState>();
  readonly #byId = new Map<number, NamespaceState>();
  /** Erased ones, by name, whose wrapped key could not be overwritten yet. */
  readonly halfErased = new Map<string, NamespaceState>();

  get(name: string): NamespaceState | undefined {
    return this.#byName.get(name);
  }

  byId(id: number): NamespaceState | undefined {
    return this.#byId.get(id);
  }

  add(state: NamespaceState): void {
    this.#byName.set(state.name, state);
    this.#byId.set(state.id, state);
  }

  remove(state: NamespaceState): void {
    this.#byId.delete(state.id);
    if (this.#byName.get(state.name) === state) this.#byName.delete(state.name);
  }

  all(): IterableIterator<NamespaceState> {
    return this.#byId.values();
  }

  names(): IterableIterator<string> {
    return this.#byName.keys();
  }
}
