import { describe, expect, it } from 'vitest';
import { RecordId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import type { RingMember } from '../../../src/ring/placement/member.ts';
import { Placement } from '../../../src/ring/placement/placement.ts';
import { RingViews } from '../../../src/ring/placement/views.ts';
import { DigestTree, MAX_LISTED } from '../../../src/ring/replication/digest-tree.ts';
import { Holdings, TOO_OLD_MS } from '../../../src/ring/replication/holdings.ts';
import type { NodeStatus, RingReply, RingRequest } from '../../../src/ring/replication/messages.ts';
import { MAX_ANSWER_BYTES, Replica } from '../../../src/ring/replication/replica.ts';
import { SharedRecords } from '../../../src/ring/replication/shared-records.ts';
import { Dice } from '../../support/dice.ts';
import { randomMembers } from '../../support/ring-members.ts';
import { MemoryMarks, MemoryReplicaStore, ringFormat, ringRecord } from '../../support/ring-records.ts';

const NOW = 1_800_000_000_000;
const FAR = NOW + 10 * TOO_OLD_MS;
const name = ({ account }: RingMember): string => toHex(account);
const quiet: NodeStatus = { adopted: 1, complete: 1, draining: false, tooOld: [] };
const refused = (code: string) => ({ kind: 'refused', code });

/** One node of a ring of so many members with k replicas, and requests to it. */
async function world(count = 4, replicas = 4) {
  const dice = new Dice(11);
  const members = randomMembers(dice, count + 1);
  const [own = expect.fail('no member'), other = own] = members;
  const view = (size: number, block: number) => ({
    block,
    timestampMs: NOW,
    placement: new Placement(members.slice(0, size), replicas),
  });
  const views = new RingViews(own, view(count, 1));
  const time = { nowMs: NOW, elapsedMs: 0 };
  const store = new MemoryReplicaStore();
  const holdings = await Holdings.open({ format: ringFormat, store, now: () => time.nowMs });
  const account = name(own);
  const shared = new SharedRecords({ account, views, holdings });
  const marks = new MemoryMarks();
  const self = { isFresh: true, complete: 1 };
  const away = new Set<string>();
  const drains: (readonly [string, boolean])[] = [];
  const replica = new Replica({
    account,
    views,
    holdings,
    shared,
    marks,
    status: () => ({ ...quiet, complete: self.complete }),
    isFresh: () => self.isFresh,
    elapsedMs: () => time.elapsedMs,
    away: () => away,
    noteDraining: (from, isDraining) => drains.push([from, isDraining]),
  });
  const ask = async (
    request: RingRequest,
    from: RingMember = other,
    status: Partial<NodeStatus> = {},
  ): Promise<RingReply> =>
    (await replica.answer(name(from), { status: { ...quiet, ...status }, message: request })).message;
  /** An id whose nearest holder is this member. */
  const near = (member: RingMember) => RecordId.of(member.position);
  const at = (id: Uint8Array) => views.configurationOf(id);
  const store1 = (version: number, id: Uint8Array = near(own)): RingRequest => ({
    kind: 'store',
    configuration: at(id),
    bytes: ringRecord(id, version, FAR),
  });
  const read = (id: Uint8Array = near(own)): RingRequest => ({
    kind: 'read',
    configuration: at(id),
    id: toHex(id),
  });
  return {
    ...{ dice, members, own, other, view, views, time, store, holdings, shared, marks, self, away, drains },
    ...{ ask, near, at, write: store1, read },
  };
}

describe('a member that is asked', () => {
  it('answers members only, and takes nothing from others', async () => {
    const { members, ask, write, read, views, drains, holdings } = await world();
    const stranger = members.at(-1) ?? expect.fail('no member');
    const lie = { draining: true, tooOld: [name(members[1] ?? stranger)] };
    for (const request of [write(1), read(), { kind: 'push', records: [] } as const])
      expect(await ask(request, stranger, lie)).toEqual(refused('RING_NOT_MEMBER'));
    expect([drains, holdings.isTooOld(lie.tooOld[0] ?? ''), views.current.block]).toEqual([[], false, 1]);
  });

  it('notes what another member says of itself, and not what it says itself', async () => {
    const { own, other, ask, read, drains, holdings } = await world();
    await ask(read(), other, { draining: true, tooOld: ['aa'] });
    expect(drains).toEqual([[name(other), true]]);
    expect(holdings.isTooOld('aa')).toBe(true);
    await ask(read(), own, { draining: true, tooOld: ['bb'] });
    expect([drains.length, holdings.isTooOld('bb')]).toEqual([1, false]);
  });
});

describe('a write at a holder', () => {
  it('is stored, or superseded by a newer record', async () => {
    const { ask, write, near, own } = await world();
    expect(await ask(write(2))).toEqual({ kind: 'stored' });
    expect(await ask(write(2))).toEqual({ kind: 'stored' });
    const bytes = ringRecord(near(own), 2, FAR);
    expect(await ask(write(1))).toEqual({ kind: 'superseded', bytes });
    expect(await ask(write(3))).toEqual({ kind: 'stored' });
  });

  it('is that of its own configuration, and of its own records', async () => {
    const { members, ask, write, near, own, at, store } = await world(9, 2);
    const id = near(own);
    const [holders = []] = at(id);
    const fewer: RingRequest = {
      kind: 'store',
      configuration: [holders.slice(1)],
      bytes: ringRecord(id, 1, FAR),
    };
    expect(await ask(fewer)).toEqual(refused('RING_OTHER_CONFIGURATION'));
    const foreign = members.slice(0, 9).find((member) => !at(near(member)).flat().includes(name(own)));
    expect(await ask(write(1, near(foreign ?? expect.fail('all are near'))))).toEqual(
      refused('RING_OTHER_CONFIGURATION'),
    );
    expect(store.records.size).toBe(0);
  });

  it('is no answer when the members changed while it was written', async () => {
    const { ask, write, store, views, view } = await world();
    const put = store.put.bind(store);
    store.put = async (id, bytes) => {
      await put(id, bytes);
      views.adopt(view(5, 2));
    };
    const asked = write(1);
    // The change concerns this id, or the test shows nothing.
    const before = JSON.stringify(views.configurationOf(new Uint8Array(32)));
    expect(await ask(asked)).toEqual(refused('RING_OTHER_CONFIGURATION'));
    expect(JSON.stringify(views.configurationOf(new Uint8Array(32)))).not.toBe(before);
  });

  it('that would be superseded by what the disk lost is no answer', async () => {
    const { ask, write, holdings, store } = await world();
    await ask(write(2));
    const read = holdings.read.bind(holdings);
    holdings.read = async (id) => {
      const found = await read(id);
      expect(found).toBeDefined();
      store.records.clear();
      return undefined;
    };
    expect(await ask(write(1))).toEqual(refused('RING_OTHER_CONFIGURATION'));
  });
});

describe('a read at a holder', () => {
  it('gives the record, or that there is none', async () => {
    const { ask, write, read, near, own } = await world();
    expect(await ask(read())).toEqual({ kind: 'record', bytes: undefined });
    await ask(write(1));
    expect(await ask(read())).toEqual({ kind: 'record', bytes: ringRecord(near(own), 1, FAR) });
  });

  it('is not for a member whose own copy is too old, except for the node itself', async () => {
    const { ask, read, own, other, members, holdings } = await world();
    holdings.noteOutlived('cc', [name(other), name(own)]);
    expect(await ask(read(), other)).toEqual(refused('RING_NOT_READY'));
    expect(await ask(read(), own)).toEqual({ kind: 'record', bytes: undefined });
    expect(await ask(read(), members[2])).toEqual({ kind: 'record', bytes: undefined });
  });

  it('is for members that may keep the record', async () => {
    const { ask, write, read, near, own, members, views, away } = await world(9, 1);
    await ask(write(1));
    const id = toHex(near(own));
    const order = [...views.current.placement.nearest(near(own))];
    const [, second, third] = order;
    // Twice as many as there are replicas.
    expect(await ask(read(), second)).toMatchObject({ kind: 'record' });
    expect(await ask(read(), third)).toEqual(refused('RING_OTHER_CONFIGURATION'));
    away.add(name(second ?? own));
    expect(await ask(read(), third)).toMatchObject({ kind: 'record' });
    expect(await ask({ kind: 'fetch', ids: [id] }, order[3])).toEqual({ kind: 'records', records: [] });
    expect(members).toHaveLength(10);
  });

  it('needs a node that is complete for the view by which it serves', async () => {
    const { ask, read, self } = await world();
    self.complete = 0;
    expect(await ask(read())).toEqual(refused('RING_NOT_READY'));
    self.complete = 1;
    expect(await ask(read())).toMatchObject({ kind: 'record' });
  });

  it('is that of its own configuration, also after the disk was read', async () => {
    const { ask, read, store, views, view, at, near, own } = await world();
    const [holders = []] = at(near(own));
    const fewer: RingRequest = { kind: 'read', configuration: [holders.slice(1)], id: toHex(near(own)) };
    expect(await ask(fewer)).toEqual(refused('RING_OTHER_CONFIGURATION'));
    const asked = read(new Uint8Array(32));
    store.get = async () => {
      views.adopt(view(5, 2));
      return undefined;
    };
    expect(await ask(asked)).toEqual(refused('RING_OTHER_CONFIGURATION'));
  });
});

describe('a mark at a holder', () => {
  const claim = { kind: 'mark', mark: 'ab'.repeat(32) } as const;
  it('is that of the first attempt, under its own configuration', async () => {
    const { ask, at, near, own, marks } = await world();
    const request = (attempt: string, configuration = at(near(own))): RingRequest => ({
      ...{ ...claim, attempt, configuration },
      id: toHex(near(own)),
    });
    const [holders = []] = at(near(own));
    expect(await ask(request('01', [holders.slice(1)]))).toEqual(refused('RING_OTHER_CONFIGURATION'));
    expect(marks.claimed.size).toBe(0);
    expect(await ask(request('02'))).toEqual({ kind: 'marked', attempt: '02' });
    expect(await ask(request('03'))).toEqual({ kind: 'marked', attempt: '02' });
  });

  it('is no answer when the members changed while it was written', async () => {
    const { ask, at, marks, views, view } = await world();
    const id = new Uint8Array(32);
    const keep = marks.claim.bind(marks);
    marks.claim = async (...claimed) => {
      views.adopt(view(5, 2));
      return keep(...claimed);
    };
    const request: RingRequest = { ...claim, attempt: '01', configuration: at(id), id: toHex(id) };
    expect(await ask(request)).toEqual(refused('RING_OTHER_CONFIGURATION'));
  });
});

describe('a comparison', () => {
  const compare = (digest: string, prefix = '', without: readonly string[] = []): RingRequest => ({
    ...{ kind: 'compare', prefix, digest, without },
  });
  const nothing = new DigestTree().digest;

  it('lists up to 64 records, and splits more', async () => {
    const { ask, dice, holdings, shared, other } = await world();
    const put = (count: number) =>
      Promise.all(
        Array.from({ length: count }, () =>
          holdings.keep(ringFormat.read(ringRecord(dice.bytes(32), 1, FAR))),
        ),
      );
    expect(await ask(compare(nothing))).toEqual({ kind: 'same' });
    await put(MAX_LISTED);
    const few = await ask(compare(nothing));
    expect(few.kind === 'list' && few.listed).toHaveLength(MAX_LISTED);
    await put(1);
    const many = await ask(compare(nothing));
    expect(many.kind === 'split' && many.digests).toHaveLength(16);
    expect(await ask(compare(shared.with(name(other), []).digest))).toEqual({ kind: 'same' });
    expect(await ask(compare(nothing, '0'))).toMatchObject({ kind: 'list' });
  });

  it('for another list of absent members every time is refused after four', async () => {
    const { ask, members, time, other } = await world(9);
    const lists = members.slice(0, 8).map((member) => [name(member)]);
    const kinds = [];
    for (const without of lists.slice(0, 5)) kinds.push(await ask(compare(nothing, '', without)));
    expect(kinds.map(({ kind }) => kind)).toEqual(['same', 'same', 'same', 'same', 'refused']);
    expect(kinds.at(-1)).toEqual(refused('RING_BUSY'));
    // What is sorted already costs nothing, and another member has tokens of its own.
    expect(await ask(compare(nothing, '', lists[3]), other)).toEqual({ kind: 'same' });
    expect(await ask(compare(nothing, '', lists[6]), members[2])).toEqual({ kind: 'same' });
    time.elapsedMs += 20_000;
    expect(await ask(compare(nothing, '', lists[7]))).toEqual({ kind: 'same' });
  });

  it('of all that both keep begins a repair, which is noted once', async () => {
    const { ask, time, holdings, other, store } = await world();
    const repairedAt = async () => (await store.readLedger()).repairedAtMs[name(other)];
    await ask({ kind: 'repaired' });
    expect(await repairedAt()).toBeUndefined();
    await ask(compare(nothing));
    time.nowMs += 5;
    // Only with the whole, or a repair would seem to have begun later than it did.
    await ask(compare(nothing, 'a'));
    await ask({ kind: 'repaired' });
    expect(await repairedAt()).toBe(NOW);
    await holdings.noteRepaired(name(other), 1);
    await ask({ kind: 'repaired' });
    expect(await repairedAt()).toBe(1);
  });
});

describe('copies', () => {
  it('are given up to a megabyte at a time, and what is not there is left out', async () => {
    const { ask, dice, holdings, store } = await world();
    const ids = Array.from({ length: 5 }, () => dice.bytes(32));
    for (const id of ids) await holdings.keep(ringFormat.read(ringRecord(id, 1, FAR)));
    const [first, second, ...rest] = ids.map(toHex);
    store.records.delete(first ?? '');
    const given = await ask({ kind: 'fetch', ids: [first ?? '', 'ff'.repeat(32), second ?? '', ...rest] });
    expect(given.kind === 'records' && given.records).toHaveLength(4);
    // One of these is half a megabyte; after two of them there is no more room.
    holdings.copyOf = async (id) => ({
      ...ringFormat.read(ringRecord(dice.bytes(32), 1, FAR)),
      bytes: new Uint8Array(MAX_ANSWER_BYTES / 2).fill(id.length),
    });
    const some = await ask({ kind: 'fetch', ids: [second ?? '', ...rest] });
    expect(some.kind === 'records' && some.records).toHaveLength(2);
  });

  it('are taken by a node that knows which ones do not count', async () => {
    const { ask, self, holdings, near, own } = await world();
    const push: RingRequest = { kind: 'push', records: [ringRecord(near(own), 1, FAR)] };
    self.isFresh = false;
    expect(await ask(push)).toEqual(refused('RING_NOT_READY'));
    expect(holdings.find(toHex(near(own)))).toBeUndefined();
    self.isFresh = true;
    expect(await ask(push)).toEqual({ kind: 'done' });
    expect(holdings.find(toHex(near(own)))).toBeDefined();
  });

  it('of a member that is too old bring nothing back, and replace what is here', async () => {
    const { ask, holdings, near, own, other } = await world();
    const [held, gone] = [near(own), near(other)];
    await holdings.keep(ringFormat.read(ringRecord(held, 1, FAR)));
    holdings.noteOutlived('cc', [name(other)]);
    await ask({ kind: 'push', records: [ringRecord(gone, 1, FAR), ringRecord(held, 2, FAR)] });
    expect(holdings.find(toHex(gone))).toBeUndefined();
    expect(holdings.find(toHex(held))?.order).toEqual(ringFormat.read(ringRecord(held, 2, FAR)).order);
  });
});
