import { checkName, checkRange, checkValue } from './api/limits.ts';
import type { NameRange, Namespace, ReadableNamespace } from './api/store-api.ts';
import { type Write, type WriteOutcome, type WriteStep, writeOf } from './commit/write.ts';
import { storeClosed } from './files/disk-failure.ts';
import type { NamespaceState } from './index/namespace-state.ts';
import type { IndexEntry, OrderedIndex } from './index/ordered-index.ts';
import type { StoreState } from './store-state.ts';

/** The reading half of a namespace, on its present index. */
export class ReadingNamespace implements ReadableNamespace {
  readonly state: StoreState;
  readonly space: NamespaceState;

  constructor(state: StoreState, space: NamespaceState) {
    this.state = state;
    this.space = space;
  }

  /** The index to read; a snapshot has its own. */
  protected index(): OrderedIndex {
    if (this.state.isClosed) throw storeClosed();
    return this.space.index;
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const location = this.index().find(name);
    return location === undefined ? undefined : this.state.reader.valueAt(location, this.space, name);
  }

  has(name: string): boolean {
    return this.index().find(name) !== undefined;
  }

  get size(): number {
    return this.index().size;
  }

  names(range: NameRange = {}): Iterable<string> {
    checkRange(range);
    return namesOf(this.index().freeze().entries(range));
  }

  entries(range: NameRange = {}): AsyncIterable<readonly [name: string, value: Uint8Array]> {
    checkRange(range);
    return this.#entries(range);
  }

  async *#entries(range: NameRange): AsyncGenerator<readonly [name: string, value: Uint8Array]> {
    const index: Iterable<IndexEntry> = this.index().freeze().entries(range);
    const release = this.state.log.pin();
    try {
      for (const entry of index) {
        // Again at every step: the store may be closed, or the namespace erased, while the caller was busy.
        this.index();
        if (this.space.erased) return;
        yield [entry.name, this.state.reader.valueAt(entry, this.space, entry.name)];
      }
    } finally {
      release();
    }
  }
}

function* namesOf(entries: Iterable<IndexEntry>): Generator<string> {
  for (const { name } of entries) yield name;
}

/** A namespace of the sealed store. Each write is made of steps, which the group commit judges and seals. */
export class SealedNamespace extends ReadingNamespace implements Namespace {
  get name(): string {
    return this.space.name;
  }

  async put(name: string, value: Uint8Array): Promise<void> {
    await this.#submit(writeOf([this.#put(name, value)]));
  }

  async replace(name: string, value: Uint8Array): Promise<Uint8Array | undefined> {
    const { before } = await this.#submit(writeOf([this.#put(name, value)], { wantsBefore: true }));
    return before;
  }

  async putIfAbsent(name: string, value: Uint8Array): Promise<boolean> {
    const { conflict } = await this.#submit(writeOf([this.#expect(name, undefined), this.#put(name, value)]));
    return conflict === undefined;
  }

  async compareAndSet(
    name: string,
    expected: Uint8Array | undefined,
    value: Uint8Array | undefined,
  ): Promise<boolean> {
    const change = value === undefined ? this.#delete(name) : this.#put(name, value);
    const { conflict } = await this.#submit(writeOf([this.#expect(name, expected), change]));
    return conflict === undefined;
  }

  async delete(name: string): Promise<Uint8Array | undefined> {
    const { before } = await this.#submit(writeOf([this.#delete(name)], { wantsBefore: true }));
    return before;
  }

  #submit(write: Write): Promise<WriteOutcome> {
    return this.state.commit.submit(write);
  }

  #put(name: string, value: Uint8Array): WriteStep {
    checkName(name);
    checkValue(value);
    return { kind: 'put', space: this.space, name, value };
  }

  #delete(name: string): WriteStep {
    checkName(name);
    return { kind: 'delete', space: this.space, name };
  }

  #expect(name: string, value: Uint8Array | undefined): WriteStep {
    checkName(name);
    if (value !== undefined) checkValue(value);
    return { kind: 'expect', space: this.space, name, value };
  }
}
