import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import type { RingMember } from '../../../src/ring/placement/member.ts';
import { Placement } from '../../../src/ring/placement/placement.ts';
import { compareDistance, distanceOf } from '../../../src/ring/placement/position.ts';
import { Dice } from '../../support/dice.ts';
import { memberAt, randomMember, randomMembers } from '../../support/ring-members.ts';

const SEED = 20_261_130;
const asNumber = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes)}`);
const names = (members: Iterable<RingMember>): string[] => [...members].map(({ account }) => toHex(account));

/** R(id) by sorting all members: what {@link Placement} has to equal. */
function replicasBySorting(members: readonly RingMember[], id: Uint8Array, k: number): RingMember[] {
  const chosen: RingMember[] = [];
  const sorted = [...members].sort((a, b) =>
    asNumber(distanceOf(id, a.position)) < asNumber(distanceOf(id, b.position)) ? -1 : 1,
  );
  for (const member of sorted) {
    const isFree = chosen.every(
      ({ platform, stash }) => platform !== member.platform && toHex(stash) !== toHex(member.stash),
    );
    if (isFree && chosen.length < k) chosen.push(member);
  }
  return chosen;
}

describe('distance (X1)', () => {
  const dice = new Dice(SEED);

  it('is a metric by XOR, and orders as a big-endian number', () => {
    for (let turn = 0; turn < 200; turn++) {
      const [a, b, c] = [dice.bytes(32), dice.bytes(32), dice.bytes(32)];
      const [ab, ac, bc] = [distanceOf(a, b), distanceOf(a, c), distanceOf(b, c)].map(asNumber);
      expect(asNumber(distanceOf(a, a))).toBe(0n);
      expect(asNumber(distanceOf(b, a))).toBe(ab);
      expect((ab ?? 0n) + (bc ?? 0n) >= (ac ?? 0n)).toBe(true);
      expect(Math.sign(compareDistance(a, b, c))).toBe((ab ?? 0n) < (ac ?? 0n) ? -1 : 1);
    }
    const same = dice.bytes(32);
    expect(compareDistance(dice.bytes(32), same, same)).toBe(0);
  });

  it('refuses positions of another length', () => {
    expect(() => distanceOf(new Uint8Array(31), new Uint8Array(32))).toThrow(RangeError);
    expect(() => distanceOf(new Uint8Array(32), new Uint8Array(33))).toThrow(RangeError);
  });
});

describe('R(id) (X2)', () => {
  it('equals a sort of all members, with shared platforms and stashes too', () => {
    const dice = new Dice(SEED + 1);
    for (let ring = 0; ring < 20; ring++) {
      const [first, second, ...others] = randomMembers(dice, 3 + dice.below(40));
      const members = [first, second, ...others].filter((member) => member !== undefined);
      for (let extra = dice.below(6); extra > 0; extra--) {
        members.push(randomMember(dice, dice.oneIn(2) ? { platform: dice.of(members).platform } : {}));
        members.push(randomMember(dice, dice.oneIn(2) ? { stash: dice.of(members).stash } : {}));
      }
      const placement = new Placement(dice.shuffled(members), 1 + dice.below(6));
      for (let turn = 0; turn < 25; turn++) {
        const id = dice.bytes(32);
        const expected = replicasBySorting(members, id, placement.replicas);
        expect(names(placement.replicasOf(id))).toEqual(names(expected));
        expect(expected.length).toBeGreaterThanOrEqual(placement.fewestReplicas);
      }
    }
  });

  it('has at most one member of a platform and of a stash', () => {
    const dice = new Dice(SEED + 2);
    const [one, two] = [randomMember(dice), randomMember(dice)];
    const others = [randomMember(dice, { platform: one.platform }), randomMember(dice, { stash: two.stash })];
    expect(new Placement([one, two, ...others]).replicasOf(dice.bytes(32))).toHaveLength(2);
  });

  it('is the same whatever the order of the members, and gives the place of one left out to the next', () => {
    const dice = new Dice(SEED + 3);
    const members = randomMembers(dice, 30);
    const id = dice.bytes(32);
    const [placement, shuffled] = [new Placement(members), new Placement(dice.shuffled(members))];
    expect(names(shuffled.replicasOf(id))).toEqual(names(placement.replicasOf(id)));
    const [nearest] = placement.replicasOf(id);
    const without = placement.replicasOf(id, (member) => member !== nearest);
    expect(names(without).slice(0, 3)).toEqual(names(placement.replicasOf(id)).slice(1));
    expect(without).toHaveLength(4);
  });

  it('is everybody when there are no more than k (X9)', () => {
    const dice = new Dice(SEED + 4);
    for (let count = 1; count <= 4; count++) {
      const members = randomMembers(dice, count);
      expect(names(new Placement(members).replicasOf(dice.bytes(32))).sort()).toEqual(names(members).sort());
    }
    expect(new Placement([]).replicasOf(dice.bytes(32))).toEqual([]);
  });

  it('is refused for an account that is listed twice, two members at one position, and k below 1', () => {
    const member = memberAt(1);
    expect(() => new Placement([member, { ...memberAt(2), account: member.account }])).toThrow(RangeError);
    expect(() => new Placement([member, { ...memberAt(2), position: member.position }])).toThrow(RangeError);
    expect(() => new Placement([member], 0)).toThrow(RangeError);
    expect(() => new Placement([member], 1.5)).toThrow(RangeError);
  });
});

/** Where the first proposal puts a secret: at the nearest node, and at the n nodes nearest to that one. */
function holdersByProposal(members: readonly RingMember[], id: Uint8Array, n: number): readonly RingMember[] {
  const by = (from: Uint8Array) => [...members].sort((a, b) => compareDistance(from, a.position, b.position));
  const [nearest] = by(id);
  return nearest === undefined ? [] : by(nearest.position).slice(0, n + 1);
}

/** Whether the member that becomes the nearest one when the nearest leaves does not hold the record. */
const isMissed = (following: RingMember | undefined, holders: readonly RingMember[]): boolean =>
  following !== undefined && !holders.includes(following);

describe('the nearest node leaves (X3, I1)', () => {
  it('the four-bit counterexample: the proposal loses a secret of nodes 0111, 1000, 1111', () => {
    const members = [memberAt(0b0111), memberAt(0b1000), memberAt(0b1111)];
    const far = Uint8Array.of(0b0000_0000, ...new Uint8Array(31));
    const placement = new Placement(members, 2);
    const [, following] = placement.nearest(far);
    expect(isMissed(following, holdersByProposal(members, far, 1))).toBe(true);
    expect(isMissed(following, placement.replicasOf(far))).toBe(false);
  });

  it.each([
    [1, 0.2, 0.3],
    [2, 0.05, 0.14],
    [3, 0.015, 0.07],
    [4, 0.004, 0.04],
  ])(
    '4,000 secrets, 20 nodes in 80 rings: the rule of the proposal with n = %d misses, ours never',
    (n, from, to) => {
      const dice = new Dice(SEED + n);
      let placement = new Placement([]);
      let [misses, ours] = [0, 0];
      for (let trial = 0; trial < 4000; trial++) {
        if (trial % 50 === 0) placement = new Placement(randomMembers(dice, 20), n + 1);
        const id = dice.bytes(32);
        const [, following] = placement.nearest(id);
        if (isMissed(following, holdersByProposal(placement.members, id, n))) misses++;
        if (isMissed(following, placement.replicasOf(id))) ours++;
      }
      expect(misses / 4000).toBeGreaterThan(from);
      expect(misses / 4000).toBeLessThan(to);
      expect(ours).toBe(0);
    },
  );
});
