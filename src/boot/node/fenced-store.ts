import { ProblemError } from '../../errors/latchkey-error.ts';
import type { BackupPart, BackupReport, BackupSink } from '../../store/api/backup-api.ts';
import type { StoreHealth } from '../../store/api/health.ts';
import type { LogHead } from '../../store/api/log-head.ts';
import type { BatchOperation, Namespace, Snapshot, Store } from '../../store/api/store-api.ts';
import type { WriteLease } from './write-lease.ts';

/**
 * The store of a node, which takes writes only while this instance holds the account: not before, and no more once a
 * newer instance has shown itself (two writers would make two histories), or once the store key in force is not known.
 * Under a lease it takes none either while that is not renewed. Reading goes on. A write that ends when it takes none any
 * more is not acknowledged: a host can let the disk hang until a newer instance writes.
 */
export class FencedStore implements Store {
  readonly #store: Store;
  #isHeld: boolean;
  #release: () => void = () => undefined;
  /** Resolves when this instance holds the account; never, if it does not come to that. */
  readonly whenReleased: Promise<void>;
  #fencedBy: string | undefined;

  /** The lease under which it takes writes, where the trust section asks for one. */
  readonly lease: WriteLease | undefined;

  /** @param isHeld whether this instance holds the account already. */
  constructor(store: Store, isHeld: boolean, lease?: WriteLease) {
    this.#store = store;
    this.#isHeld = isHeld;
    this.lease = lease;
    this.whenReleased = new Promise((resolve) => {
      this.#release = resolve;
    });
    if (isHeld) this.#release();
  }

  /** Whether it takes writes, unless it is fenced. */
  get isReleased(): boolean {
    return this.#isHeld;
  }

  /** Whether it refuses every write for good: another instance has the account, or this disk is an older one. */
  get isFenced(): boolean {
    return this.#fencedBy !== undefined;
  }

  /** Whether it takes writes at this moment: this instance holds the account, is not fenced, and its lease is valid. */
  get takesWrites(): boolean {
    return this.#isHeld && this.#fencedBy === undefined && this.lease?.isValid !== false;
  }

  /** Takes writes from now on: this instance holds the account. */
  release(): void {
    this.#isHeld = true;
    this.#release();
  }

  /** Refuses every write from now on. */
  fence(reason: string): void {
    this.#fencedBy = reason;
  }

  async namespace(name: string, options?: { readonly erasable?: boolean }): Promise<Namespace> {
    const open = () => this.#store.namespace(name, options);
    const namespace = await (this.#store.hasNamespace(name) ? open() : this.#write(open));
    return fencedNamespace(namespace, (write) => this.#write(write));
  }

  namespaces(): readonly string[] {
    return this.#store.namespaces();
  }

  hasNamespace(name: string): boolean {
    return this.#store.hasNamespace(name);
  }

  async eraseNamespace(name: string): Promise<boolean> {
    return await this.#write(() => this.#store.eraseNamespace(name));
  }

  async batch(operations: readonly BatchOperation[]): Promise<void> {
    await this.#write(() => this.#store.batch(operations));
  }

  snapshot(): Snapshot {
    return this.#store.snapshot();
  }

  head(): LogHead {
    return this.#store.head();
  }

  health(): Promise<StoreHealth> {
    return this.#store.health();
  }

  /** Goes on when fenced: it changes nothing. */
  backup(sink: BackupSink, part?: BackupPart): Promise<BackupReport> {
    return this.#store.backup(sink, part);
  }

  async #write<T>(write: () => Promise<T>): Promise<T> {
    this.#requireUnfenced();
    const result = await write();
    if (this.takesWrites) return result;
    throw new ProblemError(
      'WRITE_UNCERTAIN',
      'while this was being written, this instance stopped to take writes',
      {
        hint: 'whether it counts is known once the node says who holds its account: read it then, before you write it again',
      },
    );
  }

  #requireUnfenced(): void {
    if (this.#fencedBy === undefined && !this.#isHeld) {
      throw new ProblemError(
        'NODE_UNCLAIMED',
        'this instance does not hold its account yet, so it does not write',
        {
          hint: 'it takes hold by itself as soon as t of its key servers answer',
        },
      );
    }
    if (this.#fencedBy === undefined) {
      const notRenewed = this.lease?.notRenewed;
      if (notRenewed === undefined) return;
      throw new ProblemError('NODE_UNCLAIMED', notRenewed, {
        hint: 'it writes again by itself as soon as enough of its key servers answer',
      });
    }
    throw new ProblemError('NODE_FENCED', `this instance no longer writes: ${this.#fencedBy}`, {
      hint: '`latchkey status --explain` says what to do',
    });
  }
}

function fencedNamespace(inner: Namespace, guarded: <T>(write: () => Promise<T>) => Promise<T>): Namespace {
  return {
    name: inner.name,
    get size() {
      return inner.size;
    },
    get: (name) => inner.get(name),
    has: (name) => inner.has(name),
    names: (range) => inner.names(range),
    entries: (range) => inner.entries(range),
    put: (name, value) => guarded(() => inner.put(name, value)),
    replace: (name, value) => guarded(() => inner.replace(name, value)),
    putIfAbsent: (name, value) => guarded(() => inner.putIfAbsent(name, value)),
    compareAndSet: (name, expected, value) => guarded(() => inner.compareAndSet(name, expected, value)),
    delete: (name) => guarded(() => inner.delete(name)),
  };
}
