import { memoKey } from '../../bytes/memo.ts';
import { Ed25519ChainKey } from '../../crypto/ed25519-zip215.ts';
import { invalidProof } from './proof-errors.ts';

/** A voter of GRANDPA. */
export interface Authority {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** u64 above zero; Substrate's own pallets give every authority 1. */
  readonly weight: bigint;
}

/** A member of a set, with its key imported. */
export interface Member {
  readonly key: Ed25519ChainKey;
  readonly weight: bigint;
}

const MAX_SET_ID = 2n ** 64n - 1n;

/** The authorities that finalize blocks during the term of one set. */
export class AuthoritySet {
  /** Counts up by one with every change; u64. */
  readonly id: bigint;
  readonly #members = new Map<string, Member>();
  /** Weight of votes that makes a block final: more than two thirds of all. */
  readonly threshold: bigint;

  /**
   * An authority that is listed twice has the sum of its weights, as in Substrate's `VoterSet`.
   * @throws RangeError on a set id that is no u64. EvidenceError CHAIN_PROOF_INVALID on an empty list, a weight of zero
   *   or a key that has not 32 bytes.
   */
  constructor(id: bigint, authorities: readonly Authority[]) {
    if (id < 0n || id > MAX_SET_ID) throw new RangeError(`an authority set id is a u64, got ${id}`);
    if (authorities.length === 0) throw invalidProof('authority set', 'authorities', 'at least one', 'none');
    this.id = id;
    let total = 0n;
    for (const { publicKey, weight } of authorities) {
      if (weight < 1n) throw invalidProof('authority set', 'weight', 'above zero', String(weight));
      if (publicKey.length !== 32) {
        throw invalidProof('authority set', 'authority', '32 bytes', `${publicKey.length} bytes`);
      }
      const name = memoKey(publicKey);
      const known = this.#members.get(name);
      this.#members.set(name, {
        key: known?.key ?? new Ed25519ChainKey(publicKey),
        weight: (known?.weight ?? 0n) + weight,
      });
      total += weight;
    }
    // As finality-grandpa computes it: all but the most that may be faulty.
    this.threshold = total - (total - 1n) / 3n;
  }

  /** How many different authorities there are. */
  get size(): number {
    return this.#members.size;
  }

  /** The member of this key; `undefined` for a stranger. */
  member(publicKey: Uint8Array): Member | undefined {
    return this.#members.get(memoKey(publicKey));
  }
}
