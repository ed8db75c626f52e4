import { copyBytes } from '../bytes/copy-bytes.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { storeClosed } from './files/disk-failure.ts';
import { checkName, checkValue } from './api/limits.ts';
import type { NamespaceState } from './index/namespace-state.ts';
import type { IndexEntry, OrderedIndex } from './index/ordered-index.ts';
import { noValue, operations } from './log/record.ts';
import type { NameRange, Namespace, ReadableNamespace } from './api/store-api.ts';
import type { StoreState } from './store-state.ts';
import type { WriteGroup } from './commit/write-group.ts';

/** Bytes that a waiting write is counted with beside its value. */
const WRITE_OVERHEAD_BYTES = 256;

/** No namespace of this name, or no longer. */
export const namespaceMissing = (name: string): EvidenceError =>
  new EvidenceError('STORE_NAMESPACE_MISSING', `there is no namespace ${name}`, { field: 'namespace' });

const erasedMeanwhile = (name: string): EvidenceError =>
  new EvidenceError(
    'STORE_NAMESPACE_ERASED',
    `namespace ${name} was erased while a snapshot of it was read`,
    {
      field: 'namespace',
      hint: 'its records are gone for good; take a new snapshot, or start the backup again',
    },
  );

/** True when a value is what was expected; `undefined` stands for none. */
export function isExpected(present: Uint8Array | undefined, expected: Uint8Array | undefined): boolean {
  return present === undefined || expected === undefined
    ? present === expected
    : equalConstantTime(present, expected);
}

/** Adds a put to a group. */
export function addPut(group: WriteGroup, namespace: NamespaceState, name: string, value: Uint8Array): void {
  group.add(namespace, { operation: operations.put, namespace: namespace.id, name, value }, false);
}

/** Adds a deletion to a group. */
export function addDelete(group: WriteGroup, namespace: NamespaceState, name: string): void {
  const content = { operation: operations.delete, namespace: namespace.id, name, value: noValue() };
  group.add(namespace, content, true);
}

/** The reading half, on the present index of a namespace. */
class ReadingNamespace implements ReadableNamespace {
  readonly state: StoreState;
  readonly space: NamespaceState;

  constructor(state: StoreState, space: NamespaceState) {
    this.state = state;
    this.space = space;
  }

  /** The index to read; a snapshot has its own. */
  protected index(): OrderedIndex {
    if (this.state.closed) throw storeClosed();
    return this.space.index;
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const location = this.index().find(name);
    return location === undefined ? undefined : this.state.readValue(location);
  }

  has(name: string): boolean {
    return this.index().find(name) !== undefined;
  }

  get size(): number {
    return this.index().size;
  }

  *names(range?: NameRange): Generator<string> {
    for (const { name } of this.index().freeze().entries(range)) yield name;
  }

  async *entries(range?: NameRange): AsyncGenerator<readonly [name: string, value: Uint8Array]> {
    const index: Iterable<IndexEntry> = this.index().freeze().entries(range);
    const release = this.state.pin();
    try {
      for (const entry of index) {
        // Again at every step: the store may be closed, or the namespace erased, while the caller was busy.
        this.index();
        if (this.space.erased) return;
        yield [entry.name, this.state.readValue(entry)];
      }
    } finally {
      release();
    }
  }
}

/** A namespace as a snapshot froze it. */
export class FrozenNamespace extends ReadingNamespace {
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

/** A namespace of the sealed store. */
export class SealedNamespace extends ReadingNamespace implements Namespace {
  get name(): string {
    return this.space.name;
  }

  put(name: string, value: Uint8Array): Promise<void> {
    return this.#write(name, value, (group, kept) => addPut(group, this.space, name, kept));
  }

  replace(name: string, value: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#write(name, value, (group, kept) => {
      const before = this.state.valueNow(this.space, name);
      addPut(group, this.space, name, kept);
      return before;
    });
  }

  putIfAbsent(name: string, value: Uint8Array): Promise<boolean> {
    return this.#write(name, value, (group, kept) => {
      if (this.state.hasNow(this.space, name)) return false;
      addPut(group, this.space, name, kept);
      return true;
    });
  }

  async compareAndSet(
    name: string,
    expected: Uint8Array | undefined,
    value: Uint8Array | undefined,
  ): Promise<boolean> {
    if (expected !== undefined) checkValue(expected);
    const wanted = expected && copyBytes(expected);
    return this.#write(name, value ?? noValue(), (group, kept) => {
      if (!isExpected(this.state.valueNow(this.space, name), wanted)) return false;
      if (value !== undefined) addPut(group, this.space, name, kept);
      else if (wanted !== undefined) addDelete(group, this.space, name);
      return true;
    });
  }

  delete(name: string): Promise<Uint8Array | undefined> {
    return this.#write(name, noValue(), (group) => {
      const before = this.state.valueNow(this.space, name);
      if (before !== undefined) addDelete(group, this.space, name);
      return before;
    });
  }

  async #write<T>(
    name: string,
    value: Uint8Array,
    plan: (group: WriteGroup, value: Uint8Array) => T,
  ): Promise<T> {
    checkName(name);
    checkValue(value);
    let kept = value;
    return this.state.commit.submit(
      (group) => {
        if (this.space.erased) throw namespaceMissing(this.space.name);
        return plan(group, kept);
      },
      value.length + WRITE_OVERHEAD_BYTES,
      () => {
        kept = copyBytes(value);
      },
    );
  }
}
