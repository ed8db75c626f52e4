import { toBase64 } from '../../bytes/base64.ts';
import { equalBytes } from '../../bytes/concat.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { type Decryption, encodeStored, type StoredDecryption } from '../decryption.ts';
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
  type WriteListener,
  type WriteOrder,
} from '../decryption-table.ts';
import { EtcdClient, type EtcdJson, type EtcdOptions, etcdText, type TxnResult } from './etcd-client.ts';
import { below, EtcdKeys, storedOf } from './etcd-keys.ts';
import { EtcdReads, recordOf } from './etcd-reads.ts';
import { EtcdWatch } from './etcd-watch.ts';
import { EtcdWriteOrder } from './etcd-write-order.ts';

/** A cluster, and where in it the table is. */
export interface EtcdTableOptions extends EtcdOptions {
  /** Begins the names of all records; ends with a slash (`latchkey/decryptions/`). */
  readonly prefix?: string;
}

/** The records of one key, at a revision. */
interface SeenState extends KeyState {
  readonly revision: number;
  /** Revision of the newest write of the result; 0: there is none. */
  readonly resultRevision: number;
  /** Revision of the newest write of `present`; 0: there is none. */
  readonly presentRevision: number;
}

/** Assumed at first: most keys are written once, and the transaction compares it. */
const ABSENT: SeenState = {
  present: undefined,
  hasResult: false,
  signatures: 0,
  revision: 0,
  resultRevision: 0,
  presentRevision: 0,
};
const PREFIX = /^[A-Za-z0-9_.-][A-Za-z0-9_./-]{0,198}\/$/;
const TIME_NAME = /^[0-9]{16}\/[0-9a-f]{64}$/;
/** Each lost race is another instance's write of the same key, so this many come only where instances quarrel. */
const MAX_RACES = 64;

/**
 * The table in an etcd cluster, for any number of instances without state of their own. Values are in clear, as the
 * original keeps them.
 */
export class EtcdTable implements DecryptionTable, Disposable {
  readonly writeOrder: WriteOrder;
  readonly #client: EtcdClient;
  readonly #keys: EtcdKeys;
  readonly #reads: EtcdReads;
  readonly #watch: EtcdWatch;

  private constructor(client: EtcdClient, prefix: string) {
    this.#client = client;
    this.#keys = new EtcdKeys(prefix);
    this.#reads = new EtcdReads(client);
    this.#watch = new EtcdWatch(client, this.#keys.results);
    this.writeOrder = new EtcdWriteOrder(client, this.#keys.order);
  }

  /**
   * Connects to a cluster.
   * @throws ProblemError DECRYPTIONS_ENGINE_UNAVAILABLE when no member answers, DECRYPTIONS_ENGINE_REFUSED when etcd
   *   refuses the user, DECRYPTIONS_ENGINE_ANSWER_INVALID when it is no etcd. RangeError for no endpoint or a prefix
   *   of another form.
   */
  static async open({ prefix = 'latchkey/decryptions/', ...options }: EtcdTableOptions): Promise<EtcdTable> {
    requireEndpoints(options.endpoints);
    if (!PREFIX.test(prefix)) throw new RangeError('prefix must be a path that ends with a slash');
    const table = new EtcdTable(new EtcdClient(options), prefix);
    try {
      await table.#watch.start();
    } catch (error) {
      table.close();
      throw error;
    }
    return table;
  }

  /** Ends the watch and everything that is under way. */
  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  hasNow(): undefined {
    return undefined;
  }

  async read(key: string): Promise<Reading> {
    const { record, revision } = await this.#reads.read(this.#keys.result(key));
    return { result: record === undefined ? undefined : storedOf(record), revision };
  }

  async signatures(key: string): Promise<readonly OracleSignature[]> {
    const prefix = this.#keys.signaturesOf(key);
    const { kvs } = await this.#client.range({ ...below(prefix), keys_only: true });
    // One by one: all of them may be larger than one answer.
    const readings = await Promise.all(kvs.map(({ key: name }) => this.#reads.read(name)));
    return readings.flatMap(({ record }) =>
      record === undefined ? [] : [{ oracle: record.key.slice(prefix.length), ...storedOf(record) }],
    );
  }

  async update(
    key: string,
    oracle: string | undefined,
    decide: (state: KeyState) => Change,
  ): Promise<number | undefined> {
    let state = ABSENT;
    let change = decide(state);
    for (let race = 0; race < MAX_RACES; race += 1) {
      if (change === undefined) return undefined;
      const result = await this.#client.txn(this.#writeOf(key, oracle, state, change));
      if (result.succeeded) return result.revision;
      state = this.#stateOf(key, oracle, result);
      // An attempt was applied, and its answer was lost.
      if (result.mayBeRepeated && isWritten(state, change)) return state.presentRevision;
      change = decide(state);
      // It may also have been applied and overwritten since: to write it once more would undo what came after it.
      if (result.mayBeRepeated && change !== undefined) throw outcomeUnknown();
    }
    throw new ProblemError('DECRYPTIONS_ENGINE_UNAVAILABLE', `${key} is written by others all the time`);
  }

  async remove(key: string, storedAtMs?: number): Promise<boolean> {
    let mayBeRepeated = false;
    for (let race = 0; race < MAX_RACES; race += 1) {
      const name = this.#keys.result(key);
      const { record } = await this.#reads.read(name);
      if (record === undefined) return mayBeRepeated;
      const present = storedOf(record);
      if ((storedAtMs ?? present.storedAtMs) !== present.storedAtMs) return mayBeRepeated;
      const result = await this.#client.txn({
        compare: [isAtRevision(name, record.mod_revision)],
        success: [
          { request_delete_range: { key: etcdText(name) } },
          { request_delete_range: { key: etcdText(this.#timeName(present, key)) } },
          { request_delete_range: below(this.#keys.signaturesOf(key)) },
        ],
      });
      if (result.succeeded) return true;
      mayBeRepeated ||= result.mayBeRepeated;
    }
    throw new ProblemError('DECRYPTIONS_ENGINE_UNAVAILABLE', `${key} is written by others all the time`);
  }

  async oldest(limit: number): Promise<OldestEntries> {
    const { kvs, count } = await this.#client.range({
      ...below(this.#keys.times),
      keys_only: true,
      limit: String(limit),
    });
    const entries = kvs.slice(0, limit).map(({ key }) => {
      const name = key.slice(this.#keys.times.length);
      if (!TIME_NAME.test(name))
        throw new ProblemError('DECRYPTION_RECORD_DAMAGED', `${key} is no time and key`);
      return entryOfTimeName(name);
    });
    return { total: count, entries };
  }

  async size(): Promise<number> {
    return (await this.#client.range({ ...below(this.#keys.results), count_only: true })).count;
  }

  listen(listener: WriteListener): () => void {
    return this.#watch.listen(listener);
  }

  health(): EngineHealth {
    const reason = this.#watch.interruption;
    return { engine: 'etcd', isReady: reason === undefined, reason };
  }

  #timeName({ storedAtMs }: StoredDecryption, key: string): string {
    return this.#keys.times + timeName(storedAtMs, key);
  }

  /** Writes the change if the records are as they were seen; otherwise gives them as they are. */
  #writeOf(
    key: string,
    oracle: string | undefined,
    seen: SeenState,
    { result, signature }: NonNullable<Change>,
  ): EtcdJson {
    const name = this.#keys.result(key);
    const signatures = this.#keys.signaturesOf(key);
    const compare: EtcdJson[] = [isAtRevision(name, seen.resultRevision)];
    const success: EtcdJson[] = [];
    const failure: EtcdJson[] = [{ request_range: { key: etcdText(name), keys_only: oracle !== undefined } }];
    if (oracle !== undefined) {
      // No oracle has signed since, so their number is the same. Without a result there are no signatures.
      const isLess = { target: 'MOD', result: 'LESS', mod_revision: String(seen.revision + 1) };
      if (seen.hasResult) compare.push({ ...isLess, ...below(signatures) });
      failure.push({ request_range: { key: etcdText(signatures + oracle) } });
      failure.push({ request_range: { ...below(signatures), count_only: true } });
    }
    if (result !== undefined) {
      const time = this.#timeName(result, key);
      success.push(put(name, result), { request_put: { key: etcdText(time) } });
      const before = seen.present === undefined ? time : this.#timeName(seen.present, key);
      if (before !== time) success.push({ request_delete_range: { key: etcdText(before) } });
    }
    if (signature !== undefined) success.push(put(signatures + signature.oracle, signature));
    return { compare, success, failure };
  }

  #stateOf(key: string, oracle: string | undefined, { ranges, revision }: TxnResult): SeenState {
    const result = recordOf(ranges[0], this.#keys.result(key));
    const own = oracle === undefined ? result : recordOf(ranges[1], this.#keys.signaturesOf(key) + oracle);
    return {
      present: own === undefined ? undefined : storedOf(own),
      hasResult: result !== undefined,
      signatures: ranges[2]?.count ?? 0,
      revision,
      resultRevision: result?.mod_revision ?? 0,
      presentRevision: own?.mod_revision ?? 0,
    };
  }
}

function requireEndpoints(endpoints: readonly string[]): void {
  const isUrl = (text: string): boolean => URL.canParse(text) && /^https?:\/\/[^/]+$/.test(text);
  if (!Array.isArray(endpoints) || endpoints.length === 0 || !endpoints.every(isUrl))
    throw new RangeError('endpoints must be http://host:port or https://host:port of each member');
}

const put = (name: string, stored: StoredDecryption): EtcdJson => ({
  request_put: { key: etcdText(name), value: toBase64(encodeStored(stored)) },
});

/** Compares the newest write of a record; 0: there must be none. */
const isAtRevision = (name: string, revision: number): EtcdJson =>
  revision === 0
    ? { target: 'CREATE', result: 'EQUAL', key: etcdText(name), create_revision: '0' }
    : { target: 'MOD', result: 'EQUAL', key: etcdText(name), mod_revision: String(revision) };

/** Whether what is there now is what the change wrote, to the millisecond. */
function isWritten({ present }: SeenState, { result, signature }: NonNullable<Change>): boolean {
  const written: (Decryption & StoredDecryption) | undefined = signature ?? result;
  return (
    present !== undefined && written !== undefined && equalBytes(encodeStored(present), encodeStored(written))
  );
}

const outcomeUnknown = (): ProblemError =>
  new ProblemError(
    'DECRYPTIONS_ENGINE_UNAVAILABLE',
    'whether the write was applied before another one is not known; read the result, and write again if need be',
  );
