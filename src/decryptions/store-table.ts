import type { BatchOperation, Namespace, Store } from '../store/api/store-api.ts';
import { decodeStored, encodeStored, type StoredDecryption } from './decryption.ts';
import {
  type Change,
  type DecryptionTable,
  type EngineHealth,
  entryOfTimeName,
  type KeyState,
  type OldestEntries,
  type OracleSignature,
  type Reading,
  timeName,
} from './decryption-table.ts';

const RESULTS = 'decryptions/results';
const TIMES = 'decryptions/times';
const SIGNATURES = 'decryptions/signatures';
/** The store counts no revisions, and tells no other instance. */
const NO_REVISION = 0;

/** The table in a store of this process: the default engine. */
export class StoreTable implements DecryptionTable {
  readonly writeOrder = undefined;
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

  /** Opens the table on a store, which the caller closes. */
  static async open(store: Store): Promise<StoreTable> {
    return new StoreTable(
      store,
      await store.namespace(RESULTS),
      await store.namespace(TIMES),
      await store.namespace(SIGNATURES),
    );
  }

  hasNow(key: string): boolean {
    return this.#results.has(key);
  }

  async read(key: string): Promise<Reading> {
    return { result: await this.#result(key), revision: NO_REVISION };
  }

  async signatures(key: string): Promise<readonly OracleSignature[]> {
    const prefix = `${key}/`;
    const found: OracleSignature[] = [];
    for await (const [name, bytes] of this.#signatures.entries({ prefix })) {
      found.push({ oracle: name.slice(prefix.length), ...decodeStored(bytes) });
    }
    return found;
  }

  async update(
    key: string,
    oracle: string | undefined,
    decide: (state: KeyState) => Change,
  ): Promise<number | undefined> {
    const present =
      oracle === undefined ? await this.#result(key) : await this.#signature(`${key}/${oracle}`);
    const signatures = oracle === undefined ? 0 : [...this.#signatures.names({ prefix: `${key}/` })].length;
    const change = decide({ present, hasResult: this.#results.has(key), signatures });
    if (change === undefined) return undefined;
    await this.#write(key, change, oracle === undefined ? present : undefined);
    return NO_REVISION;
  }

  async remove(key: string, storedAtMs?: number): Promise<boolean> {
    const present = await this.#result(key);
    if (present === undefined || (storedAtMs ?? present.storedAtMs) !== present.storedAtMs) return false;
    const signatures = [...this.#signatures.names({ prefix: `${key}/` })];
    await this.#store.batch([
      { kind: 'delete', namespace: RESULTS, name: key },
      { kind: 'delete', namespace: TIMES, name: timeName(present.storedAtMs, key) },
      ...signatures.map((name) => ({ kind: 'delete', namespace: SIGNATURES, name }) as const),
    ]);
    return true;
  }

  async oldest(limit: number): Promise<OldestEntries> {
    const entries = [...this.#times.names({ limit })].map(entryOfTimeName);
    return { total: this.#times.size, entries };
  }

  async size(): Promise<number> {
    return this.#results.size;
  }

  listen(): () => void {
    return () => undefined;
  }

  health(): EngineHealth {
    return { engine: 'store', isReady: true, reason: undefined };
  }

  async #result(key: string): Promise<StoredDecryption | undefined> {
    const bytes = await this.#results.get(key);
    return bytes === undefined ? undefined : decodeStored(bytes);
  }

  async #signature(name: string): Promise<StoredDecryption | undefined> {
    const bytes = await this.#signatures.get(name);
    return bytes === undefined ? undefined : decodeStored(bytes);
  }

  /** Replaces `previous` by a result, a signature or both, in one step. */
  async #write(
    key: string,
    { result, signature }: NonNullable<Change>,
    previous: StoredDecryption | undefined,
  ): Promise<void> {
    const operations: BatchOperation[] = [];
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
}
