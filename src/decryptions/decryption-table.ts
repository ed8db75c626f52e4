import { equalBytes } from '../bytes/concat.ts';
import { type Decryption, encodeDecryption, type StoredDecryption } from './decryption.ts';

/** One oracle's answer, where several oracles answer for one ciphertext. */
export interface OracleSignature extends StoredDecryption {
  readonly oracle: string;
}

/** A result as it was read. */
export interface Reading {
  readonly result: StoredDecryption | undefined;
  /** Revision of the engine at the read; a later write has a higher one. 0 where the engine counts none. */
  readonly revision: number;
}

/** What a write decides on: the records of one key, before the write. */
export interface KeyState {
  /** The record that the write would replace: the oracle's answer where an oracle writes, otherwise the result. */
  readonly present: StoredDecryption | undefined;
  readonly hasResult: boolean;
  /** Number of oracles that signed; 0 unless an oracle writes. */
  readonly signatures: number;
}

/** What a write stores; `undefined`: nothing. */
export type Change = { readonly result?: StoredDecryption; readonly signature?: OracleSignature } | undefined;

/** A result and when it was put. */
export interface TableEntry {
  readonly key: string;
  readonly storedAtMs: number;
}

/** Oldest results. */
export interface OldestEntries {
  /** Number of all results, seen in the same step. */
  readonly total: number;
  /** Oldest first. */
  readonly entries: readonly TableEntry[];
}

/** What an engine tells about writes that other instances made. */
export interface WriteListener {
  /** Whether anybody waits for the key; only then the written value is decoded. */
  wants(key: string): boolean;
  wrote(key: string, decryption: Decryption, revision: number): void;
  /** Writes may have been missed: keys that are waited for must be read again. */
  missed(): void;
}

/** Whether an engine works now. */
export interface EngineHealth {
  readonly engine: 'store' | 'etcd';
  readonly isReady: boolean;
  /** Why it is not ready. */
  readonly reason: string | undefined;
}

/**
 * The records of the service: the result of each key, an index of the results by time, and the signatures of single
 * oracles. Keys are 64 lower-case hex digits. There are two engines: {@link StoreTable} and EtcdTable.
 */
export interface DecryptionTable {
  /** Whether there is a result in this very step; `undefined` where the engine has to be asked over a network. */
  hasNow(key: string): boolean | undefined;
  /** The newest result, as of a moment during the call. */
  read(key: string): Promise<Reading>;
  /** The oracles' signatures, ordered by oracle. */
  signatures(key: string): Promise<readonly OracleSignature[]>;
  /**
   * Decides on the state of a key, and writes the change in one step if the state is still the same; otherwise decides
   * again. Durable on return. The caller runs the writes of one key one after another.
   * @returns the revision of the write; `undefined` when the decision was to write nothing.
   */
  update(
    key: string,
    oracle: string | undefined,
    decide: (state: KeyState) => Change,
  ): Promise<number | undefined>;
  /**
   * Removes a result with all that belongs to it, in one step.
   * @param storedAtMs remove only a result that was put then.
   * @returns false when there is none.
   */
  remove(key: string, storedAtMs?: number): Promise<boolean>;
  /** At most `limit` of the oldest results. */
  oldest(limit: number): Promise<OldestEntries>;
  /** Number of results. */
  size(): Promise<number>;
  /** Tells of writes of other instances; the function returned ends it. */
  listen(listener: WriteListener): () => void;
  health(): EngineHealth;
  /** Order of signed writes over all instances; `undefined`: there is one instance, which keeps it in memory. */
  readonly writeOrder: WriteOrder | undefined;
}

/** The newest accepted time of signed writes, by account and path. */
export interface WriteOrder {
  /** Notes a newer time. @returns false when this or a newer one was noted before. */
  advance(name: string, timestampMs: number): Promise<boolean>;
}

/** Whether value and signature are the same. */
export const sameDecryption = (a: Decryption, b: Decryption): boolean =>
  equalBytes(encodeDecryption(a), encodeDecryption(b));

/** Sixteen digits hold every safe integer, so that names sort as times. */
export const timeName = (storedAtMs: number, key: string): string =>
  `${String(Math.max(0, Math.floor(storedAtMs))).padStart(16, '0')}/${key}`;

/** Reads a {@link timeName}. */
export function entryOfTimeName(name: string): TableEntry {
  const slash = name.indexOf('/');
  return { key: name.slice(slash + 1), storedAtMs: Number(name.slice(0, slash)) };
}
