import type { BackupPart, BackupReport, BackupSink } from './backup-api.ts';
import type { StoreHealth } from './health.ts';
import type { LogHead } from './log-head.ts';

/**
 * The interface of the sealed store for the rest of Latchkey. `SealedStore` implements it; the data services and the
 * boot use only this. Names are non-empty UTF-8 strings of at most 4 KiB, ordered by their UTF-8 bytes.
 * The promise of a write resolves only when the write is durable.
 */
export interface Store {
  /**
   * Opens (and on first use creates) a namespace. An erasable one has a random key of its own that
   * {@link eraseNamespace} destroys.
   * @throws EvidenceError STORE_NAMESPACE_KIND when it exists with the other kind.
   */
  namespace(name: string, options?: { readonly erasable?: boolean }): Promise<Namespace>;
  /** Names of all namespaces, ordered. */
  namespaces(): readonly string[];
  /** Whether there is a namespace of this name; costs the same however many there are. */
  hasNamespace(name: string): boolean;
  /** Destroys an erasable namespace's key, durably, and with it all its records. Absent: returns false. */
  eraseNamespace(name: string): Promise<boolean>;
  /**
   * All operations or none, durable when it resolves. Conditions are checked in the same step; when one does not
   * hold nothing is written.
   * @throws EvidenceError STORE_CONFLICT naming the first condition that failed.
   */
  batch(operations: readonly BatchOperation[]): Promise<void>;
  /** A consistent view that later writes do not change. Release it. */
  snapshot(): Snapshot;
  /** Position in the log, for deposits with key servers and for backups. */
  head(): LogHead;
  /** State of the disk and of the background work. */
  health(): Promise<StoreHealth>;
  /** Writes everything as of now, or a part, into one sealed file while reads and writes go on. */
  backup(sink: BackupSink, part?: BackupPart): Promise<BackupReport>;
}

/** One namespace: an ordered map from names to bytes. */
export interface Namespace extends ReadableNamespace {
  readonly name: string;
  /** Sets a value, whether or not there was one. */
  put(name: string, value: Uint8Array): Promise<void>;
  /** As {@link put}, and gives the value that it replaced, atomically. */
  replace(name: string, value: Uint8Array): Promise<Uint8Array | undefined>;
  /** Sets a value only where there is none; false (and nothing written) where there is one. */
  putIfAbsent(name: string, value: Uint8Array): Promise<boolean>;
  /** Compare-and-set: writes only if the present value equals `expected` (`undefined`: absent). */
  compareAndSet(
    name: string,
    expected: Uint8Array | undefined,
    value: Uint8Array | undefined,
  ): Promise<boolean>;
  /** Removes and gives what was there, atomically; `undefined` (and nothing written) where nothing was. */
  delete(name: string): Promise<Uint8Array | undefined>;
}

/** The reading half, which snapshots share. */
export interface ReadableNamespace {
  get(name: string): Promise<Uint8Array | undefined>;
  has(name: string): boolean;
  /** Number of records. */
  readonly size: number;
  /** Names in order, within the range. */
  names(range?: NameRange): Iterable<string>;
  /** Records in order, within the range. */
  entries(range?: NameRange): AsyncIterable<readonly [name: string, value: Uint8Array]>;
}

/** Bounds of an iteration; all given ones apply. */
export interface NameRange {
  /** Only names that start with these characters. */
  readonly prefix?: string;
  /** First name, inclusive. */
  readonly from?: string;
  /** End, exclusive. */
  readonly before?: string;
  readonly reverse?: boolean;
  /** At most this many. */
  readonly limit?: number;
}

export interface Snapshot {
  namespace(name: string): ReadableNamespace;
  readonly head: LogHead;
  release(): void;
}

/** One step of an atomic batch. */
export type BatchOperation =
  | { readonly kind: 'put'; readonly namespace: string; readonly name: string; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly namespace: string; readonly name: string }
  | {
      /** Fails the whole batch unless the present value equals `value` (`undefined`: absent). */
      readonly kind: 'expect';
      readonly namespace: string;
      readonly name: string;
      readonly value: Uint8Array | undefined;
    };
