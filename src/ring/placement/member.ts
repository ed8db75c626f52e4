import type { AccountId, BlockHash } from '../../bytes/fixed-bytes.ts';
import { ringPosition } from './position.ts';

/** A registered, attested node of the ring, as the chain and its registered quote name it. */
export interface RingMember {
  readonly account: AccountId;
  /** The account that put up the stake. */
  readonly stash: AccountId;
  /** PPID of its platform, as text. */
  readonly platform: string;
  /** Where it is in the ring, 32 bytes. */
  readonly position: Uint8Array;
}

/** What makes a {@link RingMember}. */
export interface RegisteredMember extends Omit<RingMember, 'position'> {
  /** Hash of a finalized block after the registration; the same for all that compute it. */
  readonly anchor: BlockHash;
}

/** Computes the position of a registered member. */
export function placeMember({ anchor, ...member }: RegisteredMember): RingMember {
  return { ...member, position: ringPosition(member.account, anchor) };
}

/**
 * What a member says of itself, over the attested channel only. `joining`: it is in no set that serves yet, or fetches
 * its ranges. `draining`: it hands its records over before it leaves the chain.
 */
export type MemberState = 'joining' | 'serving' | 'draining';
