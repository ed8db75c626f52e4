import type { StoredDecryption } from '../../src/decryptions/decryption.ts';
import type {
  Change,
  DecryptionTable,
  EngineHealth,
  KeyState,
  OldestEntries,
  OracleSignature,
  Reading,
  WriteListener,
} from '../../src/decryptions/decryption-table.ts';

/** What several tables share, as instances share a cluster: results, and a revision that each change raises. */
export class SimulatedCluster {
  readonly results = new Map<string, { readonly stored: StoredDecryption; readonly revision: number }>();
  readonly listeners = new Set<(key: string, stored: StoredDecryption, revision: number) => void>();
  revision = 1;
}

/**
 * An engine behind a network: each call takes effect at one moment between its beginning and its end, and news of
 * writes arrive late, in order.
 */
export class SimulatedRemoteTable implements DecryptionTable {
  readonly writeOrder = undefined;
  readonly #cluster: SimulatedCluster;
  readonly #delay: () => Promise<void>;

  constructor(cluster: SimulatedCluster, delay: () => Promise<void>) {
    this.#cluster = cluster;
    this.#delay = delay;
  }

  hasNow(): undefined {
    return undefined;
  }

  async read(key: string): Promise<Reading> {
    await this.#delay();
    const reading = { result: this.#cluster.results.get(key)?.stored, revision: this.#cluster.revision };
    await this.#delay();
    return reading;
  }

  async update(
    key: string,
    _oracle: string | undefined,
    decide: (state: KeyState) => Change,
  ): Promise<number | undefined> {
    await this.#delay();
    const present = this.#cluster.results.get(key)?.stored;
    const result = decide({ present, hasResult: present !== undefined, signatures: 0 })?.result;
    if (result === undefined) return undefined;
    this.#cluster.revision += 1;
    const { revision } = this.#cluster;
    this.#cluster.results.set(key, { stored: result, revision });
    for (const tell of this.#cluster.listeners) tell(key, result, revision);
    await this.#delay();
    return revision;
  }

  async remove(key: string): Promise<boolean> {
    await this.#delay();
    const removed = this.#cluster.results.delete(key);
    if (removed) this.#cluster.revision += 1;
    await this.#delay();
    return removed;
  }

  listen(listener: WriteListener): () => void {
    let last = Promise.resolve();
    const tell = (key: string, stored: StoredDecryption, revision: number): void => {
      last = last.then(this.#delay).then(() => {
        if (listener.wants(key)) listener.wrote(key, stored, revision);
      });
    };
    this.#cluster.listeners.add(tell);
    return () => this.#cluster.listeners.delete(tell);
  }

  async signatures(): Promise<readonly OracleSignature[]> {
    return [];
  }

  async oldest(): Promise<OldestEntries> {
    return { total: this.#cluster.results.size, entries: [] };
  }

  async size(): Promise<number> {
    return this.#cluster.results.size;
  }

  health(): EngineHealth {
    return { engine: 'etcd', isReady: true, reason: undefined };
  }
}
