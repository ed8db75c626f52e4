import type { ChainSnapshot, ChainView, ServerRecord } from '../../src/chain/chain-view.ts';

/** What a host makes of the records that the chain has. */
export type ForgeRecords = (records: readonly ServerRecord[]) => readonly ServerRecord[];

/** The chain as one machine sees it: without a checkpoint its host may show it any records. */
export class SeenChain implements ChainView {
  readonly #chain: ChainView;
  /** The host's forgery; `undefined` shows the true records. */
  forge: ForgeRecords | undefined;

  constructor(chain: ChainView) {
    this.#chain = chain;
  }

  async snapshot(): Promise<ChainSnapshot> {
    return this.#seen(await this.#chain.snapshot());
  }

  subscribe(listener: (snapshot: ChainSnapshot) => void): () => void {
    return this.#chain.subscribe((snapshot) => listener(this.#seen(snapshot)));
  }

  #seen(snapshot: ChainSnapshot): ChainSnapshot {
    return this.forge === undefined ? snapshot : { ...snapshot, servers: this.forge(snapshot.servers) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The chain belongs to the network.
  }
}
