import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { sha256 } from '../../../src/crypto/sha2.ts';
import type { RingMember } from '../../../src/ring/placement/member.ts';
import { Placement } from '../../../src/ring/placement/placement.ts';
import { compareDistance } from '../../../src/ring/placement/position.ts';
import { RingViews } from '../../../src/ring/placement/views.ts';
import { DigestTree, MAX_LISTED } from '../../../src/ring/replication/digest-tree.ts';
import type { HeldRecord } from '../../../src/ring/replication/holdings.ts';
import {
  decodeReply,
  decodeRequest,
  encodeMessage,
  MAX_MESSAGE_BYTES,
} from '../../../src/ring/replication/wire.ts';
import { Dice } from '../../support/dice.ts';
import { memberAt, randomMember, randomMembers } from '../../support/ring-members.ts';
import { codeOf } from '../../support/thrown.ts';

const name = ({ account }: RingMember): string => toHex(account);

/** A ring of which some members share a platform or a stash. */
function sharing(dice: Dice, count: number): RingMember[] {
  const members = randomMembers(dice, count);
  for (let extra = 0; extra < count / 2; extra++) {
    members.push(randomMember(dice, { platform: dice.of(members).platform }));
    members.push(randomMember(dice, { stash: dice.of(members).stash }));
  }
  return dice.shuffled(members);
}

describe('the nearest members of an id', () => {
  it('are counted once for each platform and stash, without those that are left out', () => {
    const dice = new Dice(41);
    for (let ring = 0; ring < 30; ring++) {
      const members = sharing(dice, 6);
      const placement = new Placement(members);
      const id = dice.bytes(32);
      const away = new Set(members.filter(() => dice.oneIn(4)));
      const sorted = [...members].sort((a, b) => compareDistance(id, a.position, b.position));
      for (const wanted of members) {
        const nearer: RingMember[] = [];
        for (const member of sorted.slice(0, sorted.indexOf(wanted))) {
          const isFree = nearer.every(
            ({ platform, stash }) => platform !== member.platform && toHex(stash) !== toHex(member.stash),
          );
          if (isFree && !away.has(member)) nearer.push(member);
        }
        for (let most = 1; most <= 5; most++) {
          const found = placement.isAmongNearest(name(wanted), id, most, (member) => !away.has(member));
          expect(found).toBe(nearer.length < most);
        }
      }
    }
  });

  it('have nobody who is no member among them', () => {
    const members = randomMembers(new Dice(42), 3);
    const placement = new Placement(members.slice(1));
    const [gone = expect.fail('none')] = members;
    expect(placement.isAmongNearest(name(gone), gone.position, 9, () => true)).toBe(false);
  });
});

describe('the neighbours of a member', () => {
  it('are the smallest part of the ring that is sure to have them', () => {
    const two = new Placement([memberAt(0b0001), memberAt(0b1000)], 1);
    expect(two.neighboursOf(memberAt(0b0001).position).map(name)).toEqual([name(memberAt(0b0001))]);
    const four = [0b0000, 0b0100, 0b1000, 0b1100].map(memberAt);
    expect(new Placement(four, 2).neighboursOf(memberAt(0b0100).position)).toEqual(four.slice(0, 2));
    expect(new Placement(four, 1).neighboursOf(memberAt(0b0100).position)).toEqual(four.slice(1, 2));
    // Three in one half are no reason to leave the other one out, which has one.
    const five = [0b0000, 0b0100, 0b0110, 0b1000].map(memberAt);
    expect(new Placement(five, 2).neighboursOf(memberAt(0b0100).position)).toEqual(five);
  });

  it('have all that hold a record together with it, also when some share a platform, and few others in a large ring', () => {
    const dice = new Dice(43);
    const members = sharing(dice, 12);
    const placement = new Placement(members, 3);
    for (const member of members) {
      const neighbours = placement.neighboursOf(member.position);
      for (let turn = 0; turn < 30; turn++) {
        const holders = placement.replicasOf(dice.bytes(32));
        if (holders.includes(member))
          expect(holders.filter((each) => !neighbours.includes(each))).toEqual([]);
      }
    }
    const large = new Placement(randomMembers(dice, 400), 2);
    const [first = expect.fail('none')] = large.members;
    expect(large.neighboursOf(first.position).length).toBeLessThan(40);
  });
});

describe('the views of a node', () => {
  const dice = new Dice(44);
  const members = randomMembers(dice, 6);
  const [own = expect.fail('none'), ...others] = members;
  const view = (block: number, count = members.length) => ({
    block,
    timestampMs: block,
    placement: new Placement(members.slice(0, count)),
  });

  it('take no older one, and none twice', () => {
    const views = new RingViews(own, view(10, 5));
    for (const block of [9, 10]) views.adopt(view(block));
    expect([views.next, views.version]).toEqual([undefined, 0]);
    views.adopt(view(20));
    const [{ next }, version] = [views, views.version];
    for (const block of [15, 20]) views.adopt(view(block, 4));
    expect([views.next, views.version]).toEqual([next, version]);
    // With one more change behind it, the one before is no newer either.
    views.adopt(view(30, 4));
    for (const member of members) views.noteComplete(name(member), 20);
    expect([views.current, views.next?.block]).toEqual([next, 30]);
  });

  it('believe that a member which was complete for a block still is', () => {
    const views = new RingViews(own, view(10, 5));
    for (const member of members) {
      views.noteComplete(name(member), 20);
      views.noteComplete(name(member), 10);
    }
    views.adopt(view(20));
    expect(views.current.block).toBe(20);
  });

  it('have others in the places of those that are away, and of nobody else', () => {
    const views = new RingViews(own, view(10));
    const id = dice.bytes(32);
    const order = [...views.current.placement.nearest(id)].map(name);
    expect([...views.keepersOf(toHex(id), new Set())].sort()).toEqual(order.slice(0, 4).sort());
    expect([...views.keepersOf(toHex(id), new Set([order[1] ?? '']))].sort()).toEqual(
      order.slice(0, 5).sort(),
    );
    expect([...views.keepersOf(toHex(id), new Set([order[5] ?? '']))].sort()).toEqual(
      order.slice(0, 4).sort(),
    );
  });

  it('have the neighbours of both views while one replaces the other, without this node', () => {
    const views = new RingViews(own, view(10, 5));
    expect(views.neighbours().map(name).sort()).toEqual(others.slice(0, 4).map(name).sort());
    views.adopt(view(20));
    expect(views.neighbours().map(name).sort()).toEqual(others.map(name).sort());
  });
});

describe('a digest', () => {
  const held = (at: number): HeldRecord => ({
    id: toHex(sha256(utf8(`${at}`))),
    order: Uint8Array.of(1),
    expiresAtMs: 1,
    storedAtMs: undefined,
  });
  /** By the definition for few records. */
  const ofFew = (records: readonly HeldRecord[]): string => {
    const sorted = [...records].sort((a, b) => (a.id < b.id ? -1 : 1));
    const parts = sorted.flatMap(({ id, order }) => [
      Buffer.from(id, 'hex'),
      Uint8Array.of(order.length),
      order,
    ]);
    return toHex(sha256(Uint8Array.of(0), ...parts));
  };

  it('covers 64 records itself, however many there were before', () => {
    const records = Array.from({ length: MAX_LISTED + 1 }, (_, at) => held(at));
    const tree = new DigestTree();
    for (const record of records.slice(0, MAX_LISTED)) tree.set(record);
    expect(tree.digest).toBe(ofFew(records.slice(0, MAX_LISTED)));
    for (const record of records.slice(MAX_LISTED)) tree.set(record);
    expect([tree.count, tree.digest === ofFew(records)]).toEqual([MAX_LISTED + 1, false]);
    tree.delete(held(MAX_LISTED).id);
    expect([tree.count, tree.digest]).toEqual([MAX_LISTED, ofFew(records.slice(0, MAX_LISTED))]);
    tree.delete(held(9_999).id);
    expect(tree.count).toBe(MAX_LISTED);
  });
});

describe('a message', () => {
  const status = { adopted: 1, complete: 1, draining: false, tooOld: [] };

  it('has at most 4 MiB', () => {
    const text = new TextDecoder().decode(encodeMessage({ status, message: { kind: 'repaired' } }));
    const padded = (length: number) => utf8(text + ' '.repeat(length - text.length));
    expect(codeOf(() => decodeRequest(padded(MAX_MESSAGE_BYTES)))).toBe('none');
    expect(codeOf(() => decodeRequest(padded(MAX_MESSAGE_BYTES + 1)))).toBe('BODY_NOT_JSON');
  });

  it('refuses by a code that every object has as by one that is not known', () => {
    for (const code of ['toString', 'constructor', '__proto__']) {
      const text = JSON.stringify({ status, message: { kind: 'refused', code } });
      expect(decodeReply(utf8(text)).message).toEqual({ kind: 'refused', code: 'INTERNAL' });
    }
    const known = { status, message: { kind: 'refused', code: 'RING_BUSY' } } as const;
    expect(decodeReply(encodeMessage(known)).message).toEqual(known.message);
  });
});
