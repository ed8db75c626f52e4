import type { AccountId } from '../bytes/fixed-bytes.ts';
import type { ServerRecord } from '../chain/chain-view.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { QuoteVerifier } from '../tdx/verify-quote.ts';
import { provenPlatform } from '../trust/registered-platform.ts';
import type { AccountRegistry } from './vault.ts';

/** Records of the chain by account. */
export interface ChainRecords {
  /** The record of an account, `undefined` when it has none, or `unknown` without a fresh view of the chain. */
  recordOf(account: AccountId): ServerRecord | undefined | 'unknown';
  /**
   * For how long the chain has shown no record of an account, in milliseconds: 0 while it shows one or there is no fresh
   * view, `Infinity` when this process has never seen one.
   */
  lackingRecordMs(account: AccountId): number;
}

/** The vault's view of the chain. */
export function accountRegistry(parts: {
  readonly chain: ChainRecords;
  readonly verifier: QuoteVerifier;
  readonly now: () => number;
}): AccountRegistry {
  return {
    lackingRecordMs: (account) => parts.chain.lackingRecordMs(account),
    registeredPlatform: (account) => {
      const record = parts.chain.recordOf(account);
      if (record === 'unknown') {
        throw new ProblemError('CHAIN_UNAVAILABLE', 'this server has no fresh view of the chain', {
          hint: 'ask the other servers',
        });
      }
      if (record === undefined) return undefined;
      return provenPlatform(record, parts.verifier, parts.now());
    },
  };
}
