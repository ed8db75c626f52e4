import type { Config } from '../config/schema.ts';

/** How the chain is reached; which chain it is stands in the trust section, which a running node does not change. */
export type ChainSettings = Pick<Config['chain'], 'endpoints' | 'agreement'>;

/** Parts of a node that take other settings while it runs; the rest of a configuration is read where it is used. */
export interface LiveParts {
  setLogLevel(level: Config['log']['level']): void;
  /** Asks other endpoints from now on; the schema of the configuration accepted them. */
  moveCollateral(endpoints: readonly string[]): void;
  /**
   * Reads the chain from these endpoints once they show the newest known block.
   * @throws ProblemError CHAIN_UNAVAILABLE, CHAIN_GENESIS_MISMATCH and others: the former endpoints stay.
   */
  moveChain(chain: ChainSettings): Promise<void>;
}
