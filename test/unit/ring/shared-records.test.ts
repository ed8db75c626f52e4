import { describe, expect, it } from 'vitest';
import { RecordId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { Placement } from '../../../src/ring/placement/placement.ts';
import { RingViews } from '../../../src/ring/placement/views.ts';
import { DigestTree } from '../../../src/ring/replication/digest-tree.ts';
import { Holdings } from '../../../src/ring/replication/holdings.ts';
import { SharedRecords } from '../../../src/ring/replication/shared-records.ts';
import { Dice } from '../../support/dice.ts';
import { randomMembers } from '../../support/ring-members.ts';
import { MemoryReplicaStore, ringFormat, ringRecord } from '../../support/ring-records.ts';

const FAR = 4e12;
const MEMBERS = 9;

async function world(seed: number, store = new MemoryReplicaStore()) {
  const dice = new Dice(seed);
  const members = randomMembers(dice, MEMBERS + 3);
  const [own = expect.fail('no member')] = members;
  const view = (count: number, block: number) => ({
    block,
    timestampMs: block,
    placement: new Placement(members.slice(0, count)),
  });
  const views = new RingViews(own, view(MEMBERS, 1));
  const holdings = await Holdings.open({ format: ringFormat, store, now: () => 1 });
  const account = toHex(own.account);
  const shared = new SharedRecords({ account, views, holdings });
  const names = members.map((member) => toHex(member.account));
  /** What is shared with a member by looking at each held record. */
  const scanned = (member: string, without: readonly string[]) => {
    const tree = new DigestTree();
    for (const held of holdings.records()) {
      const keepers = views.keepersOf(held.id, new Set(without));
      if (keepers.has(account) && keepers.has(member)) tree.set(held);
    }
    return tree.digest;
  };
  const expectRight = (...lists: readonly (readonly string[])[]) => {
    for (const without of lists) {
      for (const name of names.slice(1))
        expect(shared.with(name, without).digest).toBe(scanned(name, without));
      const foreign = [...holdings.records()].filter(
        ({ id }) => !views.keepersOf(id, new Set(without)).has(account),
      );
      expect([...shared.foreign(without)].map(({ id }) => id).sort()).toEqual(
        foreign.map(({ id }) => id).sort(),
      );
    }
  };
  return { dice, own, members, views, view, holdings, shared, names, scanned, expectRight };
}

describe('records that two members share', () => {
  it('are those of a whole look at all records, through writes, deletions and changes of the members', async () => {
    const { dice, members, views, view, holdings, names, expectRight } = await world(1);
    // No more than are remembered at once, or each would be sorted anew.
    const lists = [[], [names[2] ?? ''], [names[3] ?? '', names[0] ?? '']];
    const ids = Array.from({ length: 200 }, () => RecordId.of(dice.bytes(32)));
    const change = async () => {
      const id = dice.of(ids);
      const held = holdings.find(toHex(id));
      if (held !== undefined && dice.oneIn(4)) await holdings.drop(held);
      else await holdings.keep(ringFormat.read(ringRecord(id, dice.below(50), FAR)));
    };
    for (let step = 0; step < 300; step++) {
      await change();
      if (step % 50 === 0) expectRight(...lists);
      if (step === 100) views.adopt(view(MEMBERS + 1, 2));
      if (step === 200) {
        for (const { account } of members) views.noteComplete(toHex(account), 2);
        expect(views.next).toBeUndefined();
      }
    }
    expectRight(...lists);
  });

  it('are sorted again for a list of absent members that made room for others', async () => {
    const { dice, holdings, names, shared, scanned } = await world(2);
    const put = () => holdings.keep(ringFormat.read(ringRecord(dice.bytes(32), 1, FAR)));
    for (let at = 0; at < 50; at++) await put();
    for (const absent of names) {
      void shared.with(names[1] ?? '', [absent]).digest;
      await put();
    }
    for (const absent of names)
      expect(shared.with(names[1] ?? '', [absent]).digest).toBe(scanned(names[1] ?? '', [absent]));
  });

  it('do not have a record whose write failed, and have the one that was there before', async () => {
    const store = new MemoryReplicaStore();
    const { dice, own, holdings, expectRight, names, shared } = await world(3, store);
    // The nearest holder of it is this node.
    const id = own.position;
    await holdings.keep(ringFormat.read(ringRecord(id, 1, FAR)));
    const before = names.map((name) => shared.with(name, []).digest);
    store.put = () => Promise.reject(new Error('no space'));
    await expect(holdings.keep(ringFormat.read(ringRecord(id, 2, FAR)))).rejects.toThrow('no space');
    await expect(holdings.keep(ringFormat.read(ringRecord(dice.bytes(32), 1, FAR)))).rejects.toThrow(
      'no space',
    );
    expect(names.map((name) => shared.with(name, []).digest)).toEqual(before);
    expectRight([]);
  });

  it('do not have a record before it is durable', async () => {
    const store = new MemoryReplicaStore();
    const { own, holdings, names, shared } = await world(4, store);
    const before = names.map((name) => shared.with(name, []).digest);
    let isDurable: () => void = () => undefined;
    store.put = () => new Promise((resolve) => (isDurable = resolve));
    const writing = holdings.keep(ringFormat.read(ringRecord(own.position, 1, FAR)));
    await new Promise((resolve) => setImmediate(resolve));
    expect(names.map((name) => shared.with(name, []).digest)).toEqual(before);
    isDurable();
    await writing;
    expect(names.map((name) => shared.with(name, []).digest)).not.toEqual(before);
  });
});
