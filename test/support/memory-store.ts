import { equalBytes } from '../../src/bytes/concat.ts';
import { EvidenceError } from '../../src/errors/latchkey-error.ts';
import type { StoreHealth } from '../../src/store/api/health.ts';
import type { LogHead } from '../../src/store/api/log-head.ts';
import type {
  BatchOperation,
  NameRange,
  Namespace,
  ReadableNamespace,
  Snapshot,
  Store,
} from '../../src/store/api/store-api.ts';
import { compareNames, OrderedRecords } from './ordered-records.ts';

interface Space {
  readonly erasable: boolean;
  readonly records: OrderedRecords;
}

/** Where a test may delay or fail the memory store. */
export interface MemoryStoreHooks {
  /** Runs before a write takes effect; what it throws, the write throws, and nothing is written. */
  readonly beforeWrite?: (operations: readonly BatchOperation[]) => Promise<void> | void;
  /** Runs after a write took effect and before it is acknowledged. */
  readonly afterWrite?: () => Promise<void> | void;
  /** Runs before a value is looked up. */
  readonly beforeRead?: () => Promise<void> | void;
}

const readsOf = (records: () => OrderedRecords): ReadableNamespace => ({
  get: async (name) => records().get(name)?.slice(),
  has: (name) => records().has(name),
  get size() {
    return records().size;
  },
  names: (range?: NameRange) => records().names(range),
  async *entries(range?: NameRange) {
    for (const name of records().names(range)) {
      const value = records().get(name);
      if (value !== undefined) yield [name, value.slice()] as const;
    }
  },
});

/** A {@link Store} in memory: the reference that the tests of the data services run on, without disk and crypto. */
export class MemoryStore implements Store {
  readonly #spaces = new Map<string, Space>();
  readonly #hooks: MemoryStoreHooks;
  #sequence = 0;
  /** Every write that took effect, for tests that assert that nothing was written. */
  writes = 0;

  constructor(hooks: MemoryStoreHooks = {}) {
    this.#hooks = hooks;
  }

  /** What another process finds after the one with this store has died: the same records, without memory or hooks. */
  reopened(): MemoryStore {
    const store = new MemoryStore();
    for (const [name, { erasable, records }] of this.#spaces)
      store.#spaces.set(name, { erasable, records: records.copy() });
    store.#sequence = this.#sequence;
    return store;
  }

  async namespace(name: string, options: { readonly erasable?: boolean } = {}): Promise<Namespace> {
    const erasable = options.erasable ?? false;
    const present = this.#spaces.get(name);
    if (present !== undefined && present.erasable !== erasable) {
      throw new EvidenceError('STORE_NAMESPACE_KIND', `namespace ${name} is of the other kind`);
    }
    if (present === undefined) {
      await this.#hooks.beforeWrite?.([]);
      // Another caller may have created it while the hook waited.
      if (!this.#spaces.has(name)) {
        this.#spaces.set(name, { erasable, records: new OrderedRecords() });
        this.#wrote();
      }
      await this.#hooks.afterWrite?.();
    }
    return this.#view(name);
  }

  namespaces(): readonly string[] {
    return [...this.#spaces.keys()].sort(compareNames);
  }

  hasNamespace(name: string): boolean {
    return this.#spaces.has(name);
  }

  async eraseNamespace(name: string): Promise<boolean> {
    const space = this.#spaces.get(name);
    if (space === undefined) return false;
    if (!space.erasable) throw new EvidenceError('STORE_NAMESPACE_KIND', `namespace ${name} is not erasable`);
    await this.#hooks.beforeWrite?.([]);
    const erased = this.#spaces.delete(name);
    this.#wrote();
    await this.#hooks.afterWrite?.();
    return erased;
  }

  batch(operations: readonly BatchOperation[]): Promise<void> {
    return this.write(operations, () => undefined);
  }

  snapshot(): Snapshot {
    const frozen = new Map([...this.#spaces].map(([name, space]) => [name, space.records.copy()] as const));
    const head = this.head();
    return {
      head,
      namespace: (name) => readsOf(() => frozen.get(name) ?? new OrderedRecords()),
      release: () => frozen.clear(),
    };
  }

  head(): LogHead {
    const digest = new Uint8Array(32);
    new DataView(digest.buffer).setUint32(28, this.#sequence);
    return { generation: 1, sequence: this.#sequence, digest };
  }

  async health(): Promise<StoreHealth> {
    return {
      diskBytes: 0,
      liveBytes: 0,
      freeBytes: undefined,
      writeFault: undefined,
      isDiskFull: false,
      takesWrites: true,
      lastDiskFault: undefined,
      compactionFault: undefined,
    };
  }

  /** @throws TypeError always: there is nothing that seals. */
  async backup(): Promise<never> {
    throw new TypeError('a store in memory has no backup');
  }

  /** One atomic write; `before` looks at the state in the same step, and may refuse by returning `false`. */
  async write<T>(operations: readonly BatchOperation[], before: () => T): Promise<T> {
    await this.#hooks.beforeWrite?.(operations);
    const seen = before();
    if (seen === false) return seen;
    for (const operation of operations) this.#check(operation);
    for (const operation of operations) this.#apply(operation);
    this.#wrote();
    await this.#hooks.afterWrite?.();
    return seen;
  }

  #wrote(): void {
    this.writes += 1;
    this.#sequence += 1;
  }

  records(namespace: string): OrderedRecords {
    const space = this.#spaces.get(namespace);
    if (space !== undefined) return space.records;
    throw new EvidenceError('STORE_NAMESPACE_MISSING', `there is no namespace ${namespace}`);
  }

  #check(operation: BatchOperation): void {
    const records = this.records(operation.namespace);
    if (operation.name === '' || Buffer.byteLength(operation.name) > 4096) throw new RangeError('bad name');
    if (operation.kind !== 'expect') return;
    const present = records.get(operation.name);
    const holds =
      present === undefined || operation.value === undefined
        ? present === operation.value
        : equalBytes(present, operation.value);
    if (!holds) {
      throw new EvidenceError(
        'STORE_CONFLICT',
        `${operation.namespace}/${operation.name} is not as expected`,
      );
    }
  }

  #apply(operation: BatchOperation): void {
    const records = this.records(operation.namespace);
    if (operation.kind === 'put') records.set(operation.name, operation.value.slice());
    if (operation.kind === 'delete') records.delete(operation.name);
  }

  #view(namespace: string): Namespace {
    // One that was erased reads as empty.
    const records = () => this.#spaces.get(namespace)?.records ?? new OrderedRecords();
    const at = (name: string) => records().get(name)?.slice();
    const put = (name: string, value: Uint8Array): BatchOperation => ({
      kind: 'put',
      namespace,
      name,
      value,
    });
    const remove = (name: string): BatchOperation => ({ kind: 'delete', namespace, name });
    const read = this.#hooks.beforeRead;
    const reads = readsOf(records);
    return {
      ...reads,
      name: namespace,
      // A spread would freeze the getter's value.
      get size() {
        return reads.size;
      },
      get: async (name) => {
        await read?.();
        return at(name);
      },
      async *entries(range?: NameRange) {
        await read?.();
        yield* reads.entries(range);
      },
      put: (name, value) => this.write([put(name, value)], () => undefined),
      replace: (name, value) => this.write([put(name, value)], () => at(name)),
      putIfAbsent: (name, value) => this.write([put(name, value)], () => !records().has(name)),
      compareAndSet: async (name, expected, value) =>
        this.write([value === undefined ? remove(name) : put(name, value)], () => {
          const present = records().get(name);
          return present === undefined || expected === undefined
            ? present === expected
            : equalBytes(present, expected);
        }),
      delete: async (name) => {
        if (!records().has(name)) return undefined;
        return this.write([remove(name)], () => at(name));
      },
    };
  }
}
