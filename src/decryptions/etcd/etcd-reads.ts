import { ProblemError } from '../../errors/latchkey-error.ts';
import type { EtcdKeyValue } from './etcd-answers.ts';
import { EtcdAnswerTooLarge, type EtcdClient, etcdText } from './etcd-client.ts';

/** A record as of a revision. */
export interface EtcdReading {
  readonly record: EtcdKeyValue | undefined;
  readonly revision: number;
}

interface Taker {
  readonly resolve: (reading: EtcdReading) => void;
  readonly reject: (error: unknown) => void;
}

/** Half of what etcd takes in one transaction (`--max-txn-ops`). */
const MAX_KEYS = 64;
const MAX_BATCHES = 4;

/**
 * Reads single records, many in one transaction where many are asked for at once: each read begins after it was asked
 * for, so none is older. Readers of the same key share one read.
 */
export class EtcdReads {
  readonly #client: EtcdClient;
  #queue = new Map<string, Taker[]>();
  #batches = 0;
  #isScheduled = false;

  constructor(client: EtcdClient) {
    this.#client = client;
  }

  /** The newest record of this name. @throws as `EtcdClient.txn`. */
  read(name: string): Promise<EtcdReading> {
    return new Promise((resolve, reject) => {
      const takers = this.#queue.get(name);
      if (takers === undefined) this.#queue.set(name, [{ resolve, reject }]);
      else takers.push({ resolve, reject });
      this.#schedule();
    });
  }

  /** In a turn of its own, so that all that arrived together go together. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      while (this.#queue.size > 0 && this.#batches < MAX_BATCHES) void this.#run(this.#take());
    });
  }

  #take(): Map<string, Taker[]> {
    const batch = new Map([...this.#queue].slice(0, MAX_KEYS));
    for (const name of batch.keys()) this.#queue.delete(name);
    return batch;
  }

  async #run(batch: Map<string, Taker[]>): Promise<void> {
    this.#batches += 1;
    try {
      await this.#readAll(batch);
    } catch (error) {
      rejectAll(batch, error);
      // They have waited for as long: a read must not wait for one timeout after another.
      const queued = this.#queue;
      this.#queue = new Map();
      rejectAll(queued, error);
    } finally {
      this.#batches -= 1;
      if (this.#queue.size > 0) this.#schedule();
    }
  }

  async #readAll(batch: Map<string, Taker[]>): Promise<void> {
    try {
      await this.#readSome([...batch]);
    } catch (error) {
      if (!(error instanceof EtcdAnswerTooLarge)) throw error;
      // Only those fail that read the record that is too large.
      if (batch.size === 1) rejectAll(batch, error);
      else for (const entry of batch) await this.#readAll(new Map([entry]));
    }
  }

  async #readSome(wanted: readonly (readonly [string, readonly Taker[]])[]): Promise<void> {
    const { ranges, revision } = await this.#client.txn({
      success: wanted.map(([name]) => ({ request_range: { key: etcdText(name) } })),
    });
    const records = wanted.map(([name], index) => recordOf(ranges[index], name));
    wanted.forEach(([, takers], index) => {
      for (const { resolve } of takers) resolve({ record: records[index], revision });
    });
  }
}

function rejectAll(takersByName: ReadonlyMap<string, readonly Taker[]>, error: unknown): void {
  for (const takers of takersByName.values()) for (const { reject } of takers) reject(error);
}

/** The record of a range over one name. @throws ProblemError DECRYPTIONS_ENGINE_ANSWER_INVALID for another record. */
export function recordOf(
  range: { readonly kvs: readonly EtcdKeyValue[] } | undefined,
  name: string,
): EtcdKeyValue | undefined {
  const record = range?.kvs[0];
  if (range === undefined || range.kvs.length > 1 || (record !== undefined && record.key !== name))
    throw new ProblemError(
      'DECRYPTIONS_ENGINE_ANSWER_INVALID',
      'etcd gave other records than were asked for',
    );
  return record;
}
