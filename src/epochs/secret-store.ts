import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { Share } from './epoch-record.ts';

/**
 * Where the secrets of a DKG are kept: commonware's trait of the same name and the same seven methods. An
 * implementation must keep two promises, or a restarted dealer equivocates and a player loses parts that it has
 * acknowledged: every `put` is durable before it resolves, and no secret is written in plaintext.
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
  /** Keeps or replaces a dealer's private message to us: the public half in the journal decides which message counts. */
  putDealing(epoch: number, dealer: Uint8Array, dealing: SecretBytes): Promise<void>;
  getDealing(epoch: number, dealer: Uint8Array): Promise<SecretBytes | undefined>;
  /** Erases all secrets of the epochs below `min`, durably. A second call changes nothing. */
  prune(min: number): Promise<void>;
}
