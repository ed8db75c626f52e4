import { AccountId, BlockHash } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { placeMember, type RingMember } from '../../src/ring/placement/member.ts';
import type { Dice } from './dice.ts';

/** A member with a random account, each with a platform and a stash of its own unless others are given. */
export function randomMember(dice: Dice, shared: { platform?: string; stash?: AccountId } = {}): RingMember {
  const account = AccountId.of(dice.bytes(32));
  return placeMember({
    account,
    stash: shared.stash ?? AccountId.of(dice.bytes(32)),
    platform: shared.platform ?? toHex(account),
    anchor: BlockHash.of(dice.bytes(32)),
  });
}

export const randomMembers = (dice: Dice, count: number): RingMember[] =>
  Array.from({ length: count }, () => randomMember(dice));

/** A member at a position of four bits, as in the counterexample to the first proposal. */
export function memberAt(position: number): RingMember {
  const account = AccountId.of(new Uint8Array(32).fill(position));
  return {
    account,
    stash: account,
    platform: `${position}`,
    position: Uint8Array.of(position << 4, ...new Uint8Array(31)),
  };
}
