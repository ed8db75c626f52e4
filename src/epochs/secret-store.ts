import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { Share } from './epoch-record.ts';

/**
 * Where the secrets of a DKG are kept: commonware's trait of the same name and the same seven methods. An
 * implementation must keep two promises, or a dealer that restarts equivocates and a player loses what it
 * acknowledged: every `put` is durable before it resolves, and nothing is ever on disk in plaintext.
 */
export interface SecretStore {
  /**
   * Keeps the share of an epoch; the same share again writes nothing.
   * @throws EvidenceError EPOCH_SECRET_CONFLICT when another one is kept; EPOCH_PRUNED below the pruned bound.
   */
  putShare(epoch: number, share: Share): Promise<void>;
  getShare(epoch: number): Promise<Share | undefined>;
  /** As {@link putShare}, for the 32-byte seed of the dealer's polynomial. */
  putSeed(epoch: number, seed: SecretBytes): Promise<void>;
  getSeed(epoch: number): Promise<SecretBytes | undefined>;
  /** Keeps a dealer's private message to us, or replaces it: the journal's public half decides which one counts. */
  putDealing(epoch: number, dealer: Uint8Array, dealing: SecretBytes): Promise<void>;
  getDealing(epoch: number, dealer: Uint8Array): Promise<SecretBytes | undefined>;
  /** Erases everything of the epochs below `min`, durably and for good; again: nothing to do. */
  prune(min: number): Promise<void>;
}
