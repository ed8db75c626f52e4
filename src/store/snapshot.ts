import { EvidenceError } from '../errors/latchkey-error.ts';
import type { NamespaceState } from './index/namespace-state.ts';
import type { OrderedIndex } from './index/ordered-index.ts';
import { FrozenNamespace, namespaceMissing } from './sealed-namespace.ts';
import type { ReadableNamespace, Snapshot } from './api/store-api.ts';
import type { LogHead } from './api/log-head.ts';
import type { StoreState } from './store-state.ts';

interface FrozenSpace {
  readonly space: NamespaceState;
  readonly index: OrderedIndex;
}

/** All namespaces as they were at one moment; keeps the files that it needs until released. */
export class SealedSnapshot implements Snapshot {
  readonly head: LogHead;
  readonly #state: StoreState;
  readonly #spaces: ReadonlyMap<string, FrozenSpace>;
  readonly #release: () => void;
  #released = false;

  constructor(state: StoreState) {
    this.#state = state;
    this.head = state.head();
    this.#release = state.pin();
    this.#spaces = new Map(
      [...state.namespaces.all()].map((space) => [space.name, { space, index: space.index.freeze() }]),
    );
  }

  /** Names of the namespaces that there were, in order. */
  namespaces(): readonly string[] {
    return sortedNames(this.#spaces.keys());
  }

  /** Whether a namespace can be erased. @throws EvidenceError STORE_NAMESPACE_MISSING. */
  isErasable(name: string): boolean {
    return this.#space(name).space.keySlot !== undefined;
  }

  namespace(name: string): ReadableNamespace {
    const { space, index } = this.#space(name);
    return new FrozenNamespace(this.#state, space, index, () => this.#checkUsable());
  }

  release(): void {
    this.#released = true;
    this.#release();
  }

  #space(name: string): FrozenSpace {
    this.#checkUsable();
    const found = this.#spaces.get(name);
    if (found === undefined) throw namespaceMissing(name);
    return found;
  }

  #checkUsable(): void {
    if (this.#released) throw new EvidenceError('STORE_SNAPSHOT_RELEASED', 'the snapshot was released');
  }
}

/** In the order of their UTF-8 bytes. */
export const sortedNames = (names: Iterable<string>): string[] =>
  [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
