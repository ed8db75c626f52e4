import { describe, expect, it } from 'vitest';
import { BlockHash } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { sha256 } from '../../../src/crypto/sha2.ts';
import { Placement } from '../../../src/ring/placement/placement.ts';
import { RingViews } from '../../../src/ring/placement/views.ts';
import { digestOf } from '../../../src/ring/replication/sharing.ts';
import { Dice } from '../../support/dice.ts';
import { randomMembers } from '../../support/ring-members.ts';

const held = (at: number) => ({
  id: at.toString(16).padStart(64, '0'),
  order: Uint8Array.of(at % 256, 7),
  expiresAtMs: 1,
  storedAtMs: undefined,
});

describe('the digest of records', () => {
  it('is SHA-256 over id ‖ order of each', () => {
    const [a, b] = [held(1), held(2)];
    const ids = [a, b].map(({ id }) => Buffer.from(id, 'hex'));
    const expected = sha256(...[ids[0], a.order, ids[1], b.order].filter((part) => part !== undefined));
    expect(digestOf([a, b])).toBe(toHex(expected));
    expect(digestOf([])).toBe(toHex(sha256(new Uint8Array(0))));
  });

  it('is made of 200,000 records too, which a node may hold', () => {
    expect(digestOf(Array.from({ length: 200_000 }, (_, at) => held(at)))).toHaveLength(64);
  });
});

describe('the keepers of a record', () => {
  it('follow the views and the members that are left out', () => {
    const dice = new Dice(3);
    const members = randomMembers(dice, 12);
    const [own] = members;
    if (own === undefined) return expect.fail('no member');
    const view = (count: number, block: number) => ({
      block,
      timestampMs: block,
      placement: new Placement(members.slice(0, count)),
    });
    const views = new RingViews(own, view(9, 1));
    const ids = Array.from({ length: 50 }, () => toHex(BlockHash.of(dice.bytes(32))));
    const none = new Set<string>();
    const holders = (id: string, of: Placement) =>
      of.replicasOf(Buffer.from(id, 'hex')).map(({ account }) => toHex(account));
    // Twice: remembered ones are the same.
    for (let turn = 0; turn < 2; turn++)
      for (const id of ids)
        expect([...views.keepersOf(id, none)].sort()).toEqual(holders(id, views.current.placement).sort());
    const absent = toHex(members[1]?.account ?? own.account);
    for (const id of ids) {
      const keepers = views.keepersOf(id, new Set([absent]));
      expect(keepers.size).toBe(holders(id, views.current.placement).includes(absent) ? 5 : 4);
    }
    views.adopt(view(12, 2));
    const next = views.next?.placement ?? expect.fail('no change is under way');
    for (const id of ids)
      expect([...views.keepersOf(id, none)].sort()).toEqual(
        [...new Set([...holders(id, views.current.placement), ...holders(id, next)])].sort(),
      );
    for (const { account } of members) views.noteComplete(toHex(account), 2);
    expect(views.next).toBeUndefined();
    for (const id of ids) expect([...views.keepersOf(id, none)].sort()).toEqual(holders(id, next).sort());
  });
});
