import { ed25519 } from '@noble/curves/ed25519.js';
import { concatBytes, utf8 } from '../../../src/bytes/concat.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { blake2b256 } from '../../../src/crypto/blake2.ts';
import { consensusDigest } from '../header.ts';
import { u8, u32, u64, vec } from '../scale.ts';

/** GRANDPA's consensus engine id. */
export const GRANDPA_ENGINE_ID = 'FRNK';

const MAX_AUTHORITIES = 1000;

/** One GRANDPA authority of the development chain, which can sign. */
export interface Authority {
  /** ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/** The authorities that finalize together; all have weight 1. */
export interface AuthoritySet {
  readonly id: number;
  readonly authorities: readonly Authority[];
}

/**
 * Makes an authority set. Each key is derived from the seed, the id of the set and the key's position in the set.
 * @throws RangeError when `count` is not 1 to 1000.
 */
export function deriveAuthoritySet(seed: Uint8Array, id: number, count: number): AuthoritySet {
  if (!Number.isInteger(count) || count < 1 || count > MAX_AUTHORITIES)
    throw new RangeError(`count of authorities must be 1 to ${MAX_AUTHORITIES}, got ${count}`);
  const authorities = Array.from({ length: count }, (_, index): Authority => {
    const secret = blake2b256(utf8('latchkey development authority'), u32(id), u32(index), seed);
    return {
      publicKey: ed25519.getPublicKey(secret),
      sign: (message) => ed25519.sign(message, secret),
    };
  });
  return { id, authorities };
}

/** SCALE `Vec<(AuthorityId, weight)>`. */
export const encodeAuthorities = ({ authorities }: AuthoritySet): Uint8Array =>
  vec(authorities.map(({ publicKey }) => concatBytes(publicKey, u64(1))));

/** An announced change of the set, as the digest of its block says it. */
export interface AuthorityChange {
  readonly next: AuthoritySet;
  /** Blocks between the announcing block and the last one of the old set; 0 on real chains. */
  readonly delay: number;
  /** A forced change does not wait for the old set: it names the last block that the old set finalized. */
  readonly forcedAfter?: number;
}

/** GRANDPA's part of the state after a block. */
export interface AuthorityState {
  readonly set: AuthoritySet;
  /** The block number at which an announced change takes effect. */
  readonly scheduled?: { readonly next: AuthoritySet; readonly at: number };
}

/** The state after block `number`, where `before` is that of its parent. */
export function authorityStateAfter(
  before: AuthorityState,
  number: number,
  change: AuthorityChange | undefined,
): AuthorityState {
  const scheduled =
    change === undefined ? before.scheduled : { next: change.next, at: number + change.delay };
  if (scheduled === undefined) return before;
  return scheduled.at <= number ? { set: scheduled.next } : { set: before.set, scheduled };
}

/** The digest item that announces a change: ScheduledChange (1) or ForcedChange (2). */
export function changeDigest(change: AuthorityChange): string {
  const body = concatBytes(encodeAuthorities(change.next), u32(change.delay));
  const message =
    change.forcedAfter === undefined
      ? concatBytes(u8(1), body)
      : concatBytes(u8(2), u32(change.forcedAfter), body);
  return consensusDigest(GRANDPA_ENGINE_ID, message);
}

/** Public keys as sorted `0x` hex, the form in which a trust section lists them. */
export const authorityIds = ({ authorities }: AuthoritySet): string[] =>
  authorities.map(({ publicKey }) => toPrefixedHex(publicKey)).sort();
