import type { Config } from '../config/schema.ts';

/** Parts of a node that take other settings while it runs; the rest of a configuration is read where it is used. */
export interface LiveParts {
  setLogLevel(level: Config['log']['level']): void;
  /** Asks other endpoints from now on. @throws TypeError for an address that is none of http. */
  moveCollateral(endpoints: readonly string[]): void;
  /**
   * Reads the chain from the endpoints of this configuration once they show the newest known block.
   * @throws ProblemError CHAIN_UNAVAILABLE, CHAIN_GENESIS_MISMATCH and others: the former endpoints stay.
   */
  moveChain(config: Config): Promise<void>;
}
