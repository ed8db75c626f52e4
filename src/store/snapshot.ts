import { EvidenceError } from '../errors/latchkey-error.ts';
import type { LogHead } from './api/log-head.ts';
import type { ReadableNamespace, Snapshot } from './api/store-api.ts';
import { namespaceMissing } from './commit/write.ts';
import type { NamespaceState } from './index/namespace-state.ts';
import type { FrozenTable } from './index/namespace-table.ts';
import type { OrderedIndex } from './index/ordered-index.ts';
import { ReadingNamespace } from './sealed-namespace.ts';
import type { StoreState } from './store-state.ts';

/** All namespaces as they were at one moment; keeps the files that it needs until released. */
export class SealedSnapshot implements Snapshot {
  readonly head: LogHead;
  readonly #state: StoreState;
  readonly #table: FrozenTable;
  readonly #unpin: () => void;
  #isReleased = false;

  constructor(state: StoreState) {
    this.#state = state;
    this.head = state.head();
    this.#unpin = state.log.pin();
    this.#table = state.namespaces.freeze();
  }

  /** Names of the namespaces that there were, in order. */
  namespaces(): readonly string[] {
    return this.#table.names();
  }

  /** Whether there was a namespace of this name. */
  hasNamespace(name: string): boolean {
    return this.#table.namespaces.has(name);
  }

  /** Whether a namespace can be erased. @throws EvidenceError STORE_NAMESPACE_MISSING. */
  isErasable(name: string): boolean {
    return this.#space(name).keyPlace !== undefined;
  }

  namespace(name: string): ReadableNamespace {
    const space = this.#space(name);
    const index = this.#table.indexOf(space);
    return new FrozenNamespace(this.#state, space, index, () => this.#checkUsable());
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#unpin();
    this.#table.release();
  }

  #space(name: string): NamespaceState {
    this.#checkUsable();
    const found = this.#table.namespaces.get(name);
    if (found === undefined) throw namespaceMissing(name);
    return found;
  }

  #checkUsable(): void {
    if (this.#isReleased) throw new EvidenceError('STORE_SNAPSHOT_RELEASED', 'the snapshot was released');
  }
}

/** A namespace as a snapshot froze it. */
class FrozenNamespace extends ReadingNamespace {
  readonly #frozen: OrderedIndex;
  readonly #checkUsable: () => void;

  /** `checkUsable` throws when the snapshot was released. */
  constructor(state: StoreState, space: NamespaceState, frozen: OrderedIndex, checkUsable: () => void) {
    super(state, space);
    this.#frozen = frozen;
    this.#checkUsable = checkUsable;
  }

  protected override index(): OrderedIndex {
    this.#checkUsable();
    if (this.space.erased) throw erasedMeanwhile(this.space.name);
    super.index();
    return this.#frozen;
  }
}

const erasedMeanwhile = (name: string): EvidenceError =>
  new EvidenceError(
    'STORE_NAMESPACE_ERASED',
    `namespace ${name} was erased while a snapshot of it was read`,
    {
      field: 'namespace',
      hint: 'its records are gone for good; take a new snapshot, or start the backup again',
    },
  );
