import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import {
  type Configuration,
  changing,
  isComplete,
  isRead,
  isSettled,
  isWritten,
  sameConfiguration,
} from '../../../src/ring/placement/configuration.ts';
import type { RingMember } from '../../../src/ring/placement/member.ts';
import { Placement } from '../../../src/ring/placement/placement.ts';
import { readQuorum, writeQuorum } from '../../../src/ring/placement/quorum.ts';
import { RingViews } from '../../../src/ring/placement/views.ts';
import { Dice } from '../../support/dice.ts';
import { randomMembers } from '../../support/ring-members.ts';

const set = (letters: string): string[] => [...letters];
const some = (letters: string): ReadonlySet<string> => new Set(letters);

describe('quorums', () => {
  it('of reads and writes meet, and none is larger than the set', () => {
    expect([1, 2, 3, 4, 5, 6].map(writeQuorum)).toEqual([1, 2, 2, 3, 3, 4]);
    expect([1, 2, 3, 4, 5, 6].map(readQuorum)).toEqual([1, 1, 2, 2, 3, 3]);
  });

  it('are needed in both sets of a change', () => {
    const change = changing(set('abcd'), set('bcde'));
    expect(isWritten(change, some('abc'))).toBe(false);
    expect(isWritten(change, some('bce'))).toBe(false);
    expect(isWritten(change, some('bcd'))).toBe(true);
    expect(isWritten(change, some('abce'))).toBe(true);
    expect(isRead(change, some('ab'))).toBe(false);
    expect(isRead(change, some('bc'))).toBe(true);
  });

  it('of nobody are none: without a holder nothing is written or read', () => {
    expect(isWritten([[]], new Set())).toBe(false);
    expect(isRead([[]], new Set())).toBe(false);
  });

  it('decide when a member is complete and when the new set serves', () => {
    expect(isComplete(set('abcd'), some('abx'))).toBe(false);
    expect(isComplete(set('abcd'), some('abd'))).toBe(true);
    expect(isSettled(set('bcde'), some('abe'))).toBe(false);
    expect(isSettled(set('bcde'), some('bce'))).toBe(true);
  });

  it('are asked of one configuration only', () => {
    const same = (a: Configuration, b: Configuration) => sameConfiguration(a, b);
    expect(changing(set('abc'), set('cab'))).toEqual([set('abc')]);
    expect(same([set('abc')], [set('bca')])).toBe(true);
    expect(same([set('abc')], [set('abd')])).toBe(false);
    expect(same([set('abc')], [set('abcd')])).toBe(false);
    expect(same([set('abc')], [set('abc'), set('abd')])).toBe(false);
    expect(same([set('abc'), set('abd')], [set('abc'), set('abe')])).toBe(false);
  });
});

/** Five members in one ring of k = 4, and a sixth that joins. */
function joinOfOne() {
  const dice = new Dice(7);
  const members = randomMembers(dice, 6);
  const [own, ...others] = members;
  const [joiner] = others.slice(-1);
  if (own === undefined || joiner === undefined) throw new RangeError('six members');
  const before = {
    block: 10,
    timestampMs: 10,
    placement: new Placement(members.filter((member) => member !== joiner)),
  };
  const after = { block: 20, timestampMs: 20, placement: new Placement(members) };
  return { own, joiner, others, before, after, dice };
}
const name = ({ account }: RingMember): string => toHex(account);

describe('a change of the members', () => {
  it('is over when all but one of the neighbours are complete, and not before', () => {
    const { own, others, before, after } = joinOfOne();
    const views = new RingViews(own, before);
    views.adopt(after);
    expect([views.current, views.next]).toEqual([before, after]);
    for (const member of others) {
      expect(views.current).toBe(before);
      views.noteComplete(name(member), 20);
    }
    expect([views.current, views.next]).toEqual([after, undefined]);
  });

  it('counts this node too, and one neighbour may be missing', () => {
    const { own, others, before, after } = joinOfOne();
    const views = new RingViews(own, before);
    views.adopt(after);
    for (const member of others.slice(1)) views.noteComplete(name(member), 20);
    expect(views.current).toBe(before);
    views.noteComplete(name(own), 20);
    expect(views.current).toBe(after);
  });

  it('does not count members that are complete for an older view', () => {
    const { own, others, before, after } = joinOfOne();
    const views = new RingViews(own, before);
    for (const member of [own, ...others]) views.noteComplete(name(member), 19);
    views.adopt(after);
    expect(views.next).toBe(after);
    for (const member of [own, ...others]) views.noteComplete(name(member), 25);
    expect(views.current).toBe(after);
  });

  it('waits until the change before it is over', () => {
    const { own, joiner, others, before, after } = joinOfOne();
    const views = new RingViews(own, before);
    const last = {
      block: 30,
      timestampMs: 30,
      placement: new Placement(after.placement.members.filter((m) => m !== own)),
    };
    views.adopt(after);
    views.adopt(last);
    views.adopt(after);
    expect([views.current, views.next]).toEqual([before, after]);
    for (const member of [...others, joiner]) views.noteComplete(name(member), 20);
    expect([views.current, views.next]).toEqual([after, last]);
  });

  it('puts both sets in charge of the records that move, and of no other', () => {
    const { own, joiner, before, after, dice } = joinOfOne();
    const views = new RingViews(own, before);
    views.adopt(after);
    let moving = 0;
    for (let turn = 0; turn < 50; turn++) {
      const id = dice.bytes(32);
      const [old, next] = views.configurationOf(id);
      const joined = after.placement.replicasOf(id).includes(joiner);
      expect(next !== undefined).toBe(joined);
      expect(old).toEqual(before.placement.replicasOf(id).map(name));
      if (joined) moving++;
    }
    expect(moving).toBeGreaterThan(10);
  });

  it('is complete for this node when it compared with all but one of the old neighbours', () => {
    const { own, joiner, others, before, after } = joinOfOne();
    const views = new RingViews(own, before);
    views.adopt(after);
    const old = others.filter((member) => member !== joiner).map(name);
    expect(views.isComplete(new Set(old.slice(2)))).toBe(false);
    expect(views.isComplete(new Set(old.slice(1)))).toBe(true);
    expect(views.isComplete(new Set([...old.slice(2), name(joiner)]))).toBe(false);
  });

  it('asks members that the chain still has only, and then all of them', () => {
    const { own, others, before } = joinOfOne();
    const views = new RingViews(own, before);
    const [gone, second, third] = others;
    const remaining = before.placement.members.filter((member) => member !== gone);
    views.adopt({ block: 20, timestampMs: 20, placement: new Placement(remaining) });
    expect(views.isMember(name(gone ?? own))).toBe(false);
    expect(views.isComplete(new Set([second, third].map((member) => name(member ?? own))))).toBe(false);
    expect(views.isComplete(new Set(others.slice(1).map(name)))).toBe(true);
  });
});
