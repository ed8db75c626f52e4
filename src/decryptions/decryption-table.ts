import { equalBytes } from '../bytes/concat.ts';
import type { BatchOperation, Namespace, Store } from '../store/api/store-api.ts';
import {
  type Decryption,
  decodeStored,
  encodeDecryption,
  encodeStored,
  type StoredDecryption,
} from './decryption.ts';

const RESULTS = 'decryptions/results';
const TIMES = 'decryptions/times';
const SIGNATURES = 'decryptions/signatures';

/** One oracle's answer, where several oracles answer for one ciphertext. */
export interface OracleSignature extends StoredDecryption {
  readonly oracle: string;
}

/** Whether value and signature are the same. */
export const sameDecryption = (a: Decryption, b: Decryption): boolean =>
  equalBytes(encodeDecryption(a), encodeDecryption(b));

/** Sixteen digits hold every safe integer, so that names sort as times. */
const timeName = (storedAtMs: number, key: string): string => `${timePrefix(storedAtMs)}/${key}`;
const timePrefix = (ms: number): string => String(Math.max(0, Math.floor(ms))).padStart(16, '0');

/**
 * The records of the service: the result of each key, an index of the results by time, and the signatures of single
 * oracles. Keys are 64 lower-case hex digits. The caller runs the writes of one key one after another.
 */
export class DecryptionTable {
  readonly #store: Store;
  readonly #results: Namespace;
  readonly #times: Namespace;
  readonly #signatures: Namespace;

  private constructor(store: Store, results: Namespace, times: Namespace, signatures: Namespace) {
    this.#store = store;
    this.#results = results;
    this.#times = times;
    this.#signatures = signatures;
  }

  static async open(store: Store): Promise<DecryptionTable> {
    return new DecryptionTable(
      store,
      await store.namespace(RESULTS),
      await store.namespace(TIMES),
      await store.namespace(SIGNATURES),
    );
  }

  /** Number of results. */
  get size(): number {
    return this.#results.size;
  }

  /** Whether there is a result now. */
  has(key: string): boolean {
    return this.#results.has(key);
  }

  async result(key: string): Promise<StoredDecryption | undefined> {
    const bytes = await this.#results.get(key);
    return bytes === undefined ? undefined : decodeStored(bytes);
  }

  async signature(key: string, oracle: string): Promise<StoredDecryption | undefined> {
    const bytes = await this.#signatures.get(`${key}/${oracle}`);
    return bytes === undefined ? undefined : decodeStored(bytes);
  }

  /** Number of oracles that signed. */
  signatureCount(key: string): number {
    return [...this.#signatures.names({ prefix: `${key}/` })].length;
  }

  /** The oracles' signatures, ordered by oracle. */
  async signatures(key: string): Promise<readonly OracleSignature[]> {
    const prefix = `${key}/`;
    const found: OracleSignature[] = [];
    for await (const [name, bytes] of this.#signatures.entries({ prefix })) {
      found.push({ oracle: name.slice(prefix.length), ...decodeStored(bytes) });
    }
    return found;
  }

  /** Replaces `previous` by a result, a signature or both, in one step; durable on return. */
  async write(
    key: string,
    next: { readonly result?: StoredDecryption; readonly signature?: OracleSignature },
    previous: StoredDecryption | undefined,
  ): Promise<void> {
    const operations: BatchOperation[] = [];
    const { result, signature } = next;
    if (result !== undefined) {
      const time = timeName(result.storedAtMs, key);
      operations.push({ kind: 'put', namespace: RESULTS, name: key, value: encodeStored(result) });
      operations.push({ kind: 'put', namespace: TIMES, name: time, value: new Uint8Array(0) });
      const before = previous === undefined ? time : timeName(previous.storedAtMs, key);
      if (before !== time) operations.push({ kind: 'delete', namespace: TIMES, name: before });
    }
    if (signature !== undefined) {
      const name = `${key}/${signature.oracle}`;
      operations.push({ kind: 'put', namespace: SIGNATURES, name, value: encodeStored(signature) });
    }
    await this.#store.batch(operations);
  }

  /** Removes a result with all that belongs to it, in one step; false when there is none. */
  async remove(key: string): Promise<boolean> {
    const present = await this.result(key);
    if (present === undefined) return false;
    const signatures = [...this.#signatures.names({ prefix: `${key}/` })];
    await this.#store.batch([
      { kind: 'delete', namespace: RESULTS, name: key },
      { kind: 'delete', namespace: TIMES, name: timeName(present.storedAtMs, key) },
      ...signatures.map((name) => ({ kind: 'delete', namespace: SIGNATURES, name }) as const),
    ]);
    return true;
  }

  /** Keys of results that are older than the time, oldest first. */
  keysBefore(timeMs: number): readonly string[] {
    return [...this.#times.names({ before: timePrefix(timeMs) })].map(keyOfTimeName);
  }

  /** The keys of the oldest results. */
  oldestKeys(count: number): readonly string[] {
    return count <= 0 ? [] : [...this.#times.names({ limit: count })].map(keyOfTimeName);
  }
}

const keyOfTimeName = (name: string): string => name.slice(name.indexOf('/') + 1);
