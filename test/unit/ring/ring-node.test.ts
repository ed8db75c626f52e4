import { describe, expect, it } from 'vitest';
import { RecordId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import type { RingMember } from '../../../src/ring/placement/member.ts';
import { Placement } from '../../../src/ring/placement/placement.ts';
import { TOO_OLD_MS } from '../../../src/ring/replication/holdings.ts';
import type { FromNode, RingReply, RingRequest } from '../../../src/ring/replication/messages.ts';
import { MAX_QUESTIONS, MAX_ROUND_BYTES, MAX_TURN_MS } from '../../../src/ring/replication/repair.ts';
import { RingNode } from '../../../src/ring/replication/ring-node.ts';
import { Dice } from '../../support/dice.ts';
import { randomMembers } from '../../support/ring-members.ts';
import {
  MemoryMarks,
  MemoryReplicaStore,
  ringFormat,
  ringRecord,
  versionOf,
} from '../../support/ring-records.ts';

const NOW = 1_800_000_000_000;
const FAR = NOW + 10 * TOO_OLD_MS;
const ID = RecordId.of(new Uint8Array(32).fill(7));
const OTHER_ID = RecordId.of(new Uint8Array(32).fill(8));
const name = ({ account }: RingMember): string => toHex(account);
const record = (version: number, id: Uint8Array = ID) => ringRecord(id, version, FAR);

/** What a member answers in place of what it would; `undefined` for what it would, and an error for no answer. */
type Lie = (request: RingRequest) => RingReply | Error | undefined;

interface Peer {
  readonly member: RingMember;
  readonly store: MemoryReplicaStore;
  readonly node: RingNode;
  lie: Lie;
  /** What it says of itself, in place of what is true. */
  says: Partial<FromNode<RingReply>['status']>;
  /** What it was asked by others. */
  readonly asked: RingRequest[];
}

/** A ring of four nodes that keep all records; the first one is looked at. */
async function world(options: { readonly complete?: number; readonly size?: number } = {}) {
  const { complete = 1, size = 4 } = options;
  const members = randomMembers(new Dice(23), size);
  const view = { block: 1, timestampMs: NOW, placement: new Placement(members) };
  const time = { elapsedMs: 0 };
  const peers: Peer[] = [];
  const answerOf = async (from: RingMember, to: RingMember, request: FromNode<RingRequest>) => {
    const peer = peers.find(({ member }) => name(member) === name(to)) ?? expect.fail('no such member');
    peer.asked.push(request.message);
    const lie = peer.lie(request.message);
    if (lie instanceof Error) throw lie;
    const answer = await peer.node.answer(name(from), request);
    return { status: { ...answer.status, ...peer.says }, message: lie ?? answer.message };
  };
  for (const member of members) {
    const store = new MemoryReplicaStore();
    const node = await RingNode.open({
      own: member,
      view,
      complete: peers.length === 0 ? complete : 1,
      format: ringFormat,
      store,
      marks: new MemoryMarks(),
      transport: { ask: (to, request) => answerOf(member, to, request) },
      elapsedMs: () => time.elapsedMs,
    });
    peers.push({ member, store, node, asked: [], says: {}, lie: () => undefined });
  }
  const [own = expect.fail('no node'), ...others] = peers;
  /** All are fresh. */
  const ready = async () => {
    for (const { node } of peers) await node.repair();
    for (const { asked } of peers) asked.length = 0;
  };
  const lie = (...lies: readonly Lie[]) => {
    for (const [at, each] of lies.entries()) (others[at] ?? expect.fail('no such member')).lie = each;
  };
  const put = (peer: Peer | undefined, bytes: Uint8Array) =>
    peer?.node.answer(name(peer.member), {
      status: peer.node.status(),
      message: { kind: 'push', records: [bytes] },
    });
  const has = ({ store }: Peer) => [...store.records.values()].map((bytes) => versionOf({ bytes }));
  return { members, view, time, node: own.node, own, others, peers, ready, lie, put, has };
}
const silent: Lie = () => new Error('no answer');
const honest: Lie = () => undefined;
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'none',
    (error: unknown) => Reflect.get(Object(error), 'code') ?? String(error),
  );

describe('a node that reads and writes', () => {
  it('needs to have heard enough others, to be complete, and to be a member', async () => {
    const { node, ready } = await world();
    expect([node.isReady, await codeOf(node.write(record(1)))]).toEqual([false, 'RING_NOT_READY']);
    await ready();
    expect([node.isReady, await codeOf(node.write(record(1)))]).toEqual([true, 'none']);
    const behind = await world({ complete: 0 });
    expect(behind.node.isReady).toBe(false);
    await behind.ready();
    expect(behind.node.isReady).toBe(true);
  });

  it('needs a majority for each, and asks four times', async () => {
    const { node, ready, lie, others } = await world();
    await ready();
    lie(silent, honest, honest);
    expect(await codeOf(node.write(record(1)))).toBe('none');
    lie(silent, silent, honest);
    for (const { asked } of others) asked.length = 0;
    expect(await codeOf(node.write(record(2)))).toBe('RING_QUORUM_MISSING');
    expect(others.map(({ asked }) => asked.length)).toEqual([4, 4, 4]);
    expect(await codeOf(node.mark(ID, 'aa'.repeat(32), '01'.repeat(16)))).toBe('RING_QUORUM_MISSING');
    // Of four, two answers meet each write.
    expect(await codeOf(node.read(ID))).toBe('none');
    lie(silent, silent, silent);
    expect(await codeOf(node.read(ID))).toBe('RING_QUORUM_MISSING');
  });

  it('is not stopped by older records, the same one, or one of another id', async () => {
    const claims = [record(1), record(2), ringRecord(OTHER_ID, 9, FAR), new Uint8Array(88)];
    for (const bytes of claims) {
      const { node, ready, lie } = await world();
      await ready();
      lie(() => ({ kind: 'superseded', bytes }), honest, honest);
      expect(await node.write(record(2))).toEqual({ kind: 'written' });
      // None of these is a stored record.
      lie(() => ({ kind: 'superseded', bytes }), silent, honest);
      expect(await codeOf(node.write(record(2)))).toBe('RING_QUORUM_MISSING');
    }
  });

  it('learns of a newer record, whoever has it', async () => {
    const { node, ready, lie } = await world();
    await ready();
    lie(() => ({ kind: 'superseded', bytes: record(3) }), silent, silent);
    const written = await node.write(record(2));
    expect(written.kind === 'superseded' && versionOf(written.by)).toBe(3);
  });

  it('reads the newest of what a quorum has, in any order of the answers', async () => {
    for (const order of [
      [1, 2],
      [2, 1],
    ]) {
      const { node, ready, lie, put, own } = await world();
      await ready();
      await put(own, record(order[0] ?? 0));
      const bytes = record(order[1] ?? 0);
      lie(() => ({ kind: 'record', bytes }), silent, silent);
      const { entry } = await node.read(ID);
      expect(entry && versionOf(entry)).toBe(2);
    }
  });

  it('takes no answer of another kind, of another id, or of a member whose copy is too old', async () => {
    const { node, ready, lie, others } = await world();
    await ready();
    for (const reply of [
      { kind: 'stored' },
      { kind: 'refused', code: 'INTERNAL' },
      { kind: 'record', bytes: record(1, OTHER_ID) },
    ] as const) {
      lie(() => reply, silent, silent);
      expect(await codeOf(node.read(ID))).toBe('RING_QUORUM_MISSING');
    }
    const [first, second] = others;
    lie(honest, () => ({ kind: 'done' }), silent);
    expect(await codeOf(node.read(ID))).toBe('none');
    // By the word of the second one, once its last repair here is a month ago.
    node.advance(NOW + TOO_OLD_MS);
    if (second !== undefined) second.says = { tooOld: [name(first?.member ?? second.member)] };
    // This read may have had both answers before.
    await codeOf(node.read(ID));
    expect(await codeOf(node.read(ID))).toBe('RING_QUORUM_MISSING');
  });

  it('has a mark when a majority gave it, and not when one gave it to another attempt', async () => {
    const { node, ready, lie } = await world();
    await ready();
    const [mine, theirs] = ['01'.repeat(16), '02'.repeat(16)] as const;
    const mark = (digits: string) => node.mark(ID, digits.repeat(32), mine);
    expect(await mark('aa')).toBe(true);
    expect(await mark('aa')).toBe(true);
    lie(() => ({ kind: 'marked', attempt: theirs }), silent, silent);
    expect(await mark('bb')).toBe(false);
    lie(() => ({ kind: 'stored' }), silent, honest);
    expect(await codeOf(mark('cc'))).toBe('RING_QUORUM_MISSING');
    lie(() => ({ kind: 'marked', attempt: mine }), silent, honest);
    expect(await mark('cc')).toBe(true);
  });
});

describe('a member that does not answer', () => {
  const absentAt = (asked: readonly RingRequest[]) =>
    asked.filter((request) => request.kind === 'compare').at(-1);

  it('is silent after three failures in a row, and is not when it answers once', async () => {
    const { node, ready, lie, others } = await world();
    await ready();
    const [first = expect.fail('none'), second = expect.fail('none')] = others;
    const without = async () => {
      await node.repair();
      const asked = absentAt(second.asked);
      return asked?.kind === 'compare' ? asked.without : [];
    };
    lie(silent, honest, honest);
    // What a round does not hear counts in the next one.
    const seen = [];
    for (let round = 0; round < 4; round++) seen.push((await without()).length);
    expect(seen).toEqual([0, 0, 0, 1]);
    lie(honest, honest, honest);
    expect(await without()).toEqual([name(first.member)]);
    expect(await without()).toEqual([]);
  });

  it('and one that drains have their places taken by others', async () => {
    const { node, ready, others } = await world();
    await ready();
    const [first = expect.fail('none'), second = expect.fail('none')] = others;
    first.says = { draining: true };
    await node.repair();
    await node.repair();
    expect(absentAt(second.asked)).toMatchObject({ without: [name(first.member)] });
    first.says = { draining: false };
    await node.repair();
    await node.repair();
    expect(absentAt(second.asked)).toMatchObject({ without: [] });
  });

  it('keeps a node from leaving, which has handed over when all have answered', async () => {
    const { node, ready, lie, put, own, others, has } = await world();
    await ready();
    await put(own, record(1));
    lie(silent, honest, honest);
    expect(await node.drain()).toBe(false);
    lie(honest, honest, honest);
    await node.drain();
    expect(await node.drain()).toBe(true);
    expect(others.map(has)).toEqual([[1], [1], [1]]);
    expect(node.status().draining).toBe(true);
  });
});

describe('a round of repair', () => {
  it('needs enough others before it takes anything from one', async () => {
    const { node, lie, put, others, own, has } = await world();
    const [first] = others;
    await put(first, record(1));
    for (const { node: other } of others) await other.repair();
    await put(first, record(1));
    own.store.records.clear();
    lie(honest, silent, silent);
    expect([await node.repair(), has(own), node.isReady]).toEqual([false, [], false]);
    lie(honest, honest, silent);
    expect([await node.repair(), has(own), node.isReady]).toEqual([true, [1], true]);
  });

  it('moves what differs, both ways, and says when nothing does', async () => {
    const { node, ready, put, own, others, has } = await world();
    await ready();
    const [first = own, second = own] = others;
    await put(own, record(2));
    await put(first, record(1));
    await put(second, record(3));
    await put(second, record(1, OTHER_ID));
    await node.repair();
    expect(await node.repair()).toBe(true);
    for (const peer of [own, ...others]) expect(has(peer).sort()).toEqual([1, 3]);
    for (const { asked } of others) asked.length = 0;
    expect(await node.repair()).toBe(true);
    expect(first.asked.map(({ kind }) => kind)).toEqual(['compare', 'repaired']);
  });

  it('goes on with the others when one sends what nobody signed, and tells it', async () => {
    const { node, ready, lie, put, own, others, has } = await world();
    await ready();
    await put(others[1], record(4));
    const listed = [[toHex(OTHER_ID), toHex(ringFormat.read(record(9)).order)]] as const;
    lie(({ kind }) => {
      if (kind === 'compare') return { kind: 'list', listed };
      return kind === 'fetch' ? { kind: 'records', records: [new Uint8Array(88)] } : undefined;
    });
    expect(await codeOf(node.repair())).toBe('SECRET_SIGNATURE_INVALID');
    expect(has(own)).toEqual([4]);
  });

  it('does not ask for ever a member that gives nothing, or what nobody asked for', async () => {
    for (const records of [[], [record(1)]]) {
      const { node, ready, lie, others } = await world();
      await ready();
      const listed = [[toHex(OTHER_ID), toHex(ringFormat.read(record(9)).order)]] as const;
      lie(({ kind }) => {
        if (kind === 'compare') return { kind: 'list', listed };
        return kind === 'fetch' ? { kind: 'records', records } : undefined;
      });
      expect(await node.repair()).toBe(false);
      expect(others[0]?.asked.filter(({ kind }) => kind === 'fetch')).toHaveLength(1);
      expect(others[0]?.asked.filter(({ kind }) => kind === 'repaired')).toHaveLength(0);
    }
  });

  it('asks one member a bounded number of questions, for a bounded time', async () => {
    const { node, ready, lie, others, time } = await world();
    await ready();
    const digests = Array.from({ length: 16 }, () => 'ab'.repeat(32));
    const splits: Lie = ({ kind }) => (kind === 'compare' ? { kind: 'split', digests } : undefined);
    const questions = () => others[0]?.asked.filter(({ kind }) => kind === 'compare').length;
    lie(splits);
    expect(await node.repair()).toBe(false);
    expect(questions()).toBe(MAX_QUESTIONS);
    for (const { asked } of others) asked.length = 0;
    lie((request) => {
      time.elapsedMs += MAX_TURN_MS / 10;
      return splits(request);
    });
    expect(await node.repair()).toBe(false);
    expect(questions()).toBe(10);
    expect(others[0]?.asked.some(({ kind }) => kind === 'repaired')).toBe(false);
  });

  it('asks for 64 records at a time, and moves a bounded number of bytes', async () => {
    const { node, ready, others, put, own, has } = await world();
    await ready();
    const dice = new Dice(3);
    for (let at = 0; at < 65; at++) await put(others[0], record(1, dice.bytes(32)));
    await node.repair();
    const fetches = others[0]?.asked.flatMap((request) =>
      request.kind === 'fetch' ? [request.ids.length] : [],
    );
    expect(fetches).toEqual([64, 1]);
    expect(has(own)).toHaveLength(65);
    expect(MAX_ROUND_BYTES).toBe(16 * 1024 * 1024);
  });

  it('stops when its turn with a member is over, and goes on in the next one', async () => {
    const { node, ready, lie, put, own, others, time, has } = await world();
    await ready();
    const dice = new Dice(4);
    for (let at = 0; at < 3; at++) await put(own, record(1, dice.bytes(32)));
    const pushes = () => others[0]?.asked.filter(({ kind }) => kind === 'push').length;
    lie(({ kind }) => {
      if (kind === 'push') time.elapsedMs += MAX_TURN_MS / 2;
      return undefined;
    });
    expect(await node.repair()).toBe(false);
    expect(pushes()).toBe(2);
    lie(honest);
    expect(await node.repair()).toBe(true);
    expect(has(others[0] ?? own)).toHaveLength(3);
  });

  it('is not over with a member that refuses a copy, or that does not note the repair', async () => {
    for (const kind of ['push', 'repaired'] as const) {
      const { node, ready, lie, put, own } = await world();
      await ready();
      await put(own, record(1));
      lie((request) => (request.kind === kind ? { kind: 'refused', code: 'RING_NOT_READY' } : undefined));
      expect(await node.repair()).toBe(false);
    }
  });

  it('brings nothing to a member that has outlived this node but what is newer there', async () => {
    const { node, ready, put, own, others, has } = await world();
    await ready();
    const [first = own] = others;
    await put(own, record(2));
    await put(first, record(1));
    await put(own, record(1, OTHER_ID));
    first.says = { tooOld: [name(own.member)] };
    expect(await node.repair()).toBe(false);
    expect(has(first)).toEqual([2]);
  });

  it('takes nothing that is not here from a member that is too old, and what is newer', async () => {
    const { node, ready, put, own, others, has } = await world();
    await ready();
    const [first = own, second = own] = others;
    await put(own, record(1));
    node.advance(NOW + TOO_OLD_MS);
    second.says = { tooOld: [name(first.member)] };
    await node.repair();
    await put(first, record(2));
    await put(first, record(1, OTHER_ID));
    await node.repair();
    expect(has(own)).toEqual([2]);
  });

  it('drops what a majority of complete holders lacked twice, when one has outlived this node', async () => {
    const { node, ready, put, own, others, has } = await world();
    await ready();
    const [first = own] = others;
    // All others purged it while this node was away.
    const purged: Lie = ({ kind }) =>
      kind === 'compare' ? { kind: 'list', listed: [] } : { kind: 'refused', code: 'INTERNAL' };
    for (const each of others) each.lie = purged;
    await put(own, record(1));
    await node.repair();
    await node.repair();
    expect(has(own)).toEqual([1]);
    first.says = { tooOld: [name(own.member)] };
    await node.repair();
    expect(has(own)).toEqual([1]);
    await node.repair();
    expect(has(own)).toEqual([]);
  });

  it('keeps what fewer than a majority lack, or members that are not complete', async () => {
    for (const says of [{ complete: 0 }, undefined]) {
      const { node, ready, put, own, others, has } = await world();
      await ready();
      const purged: Lie = ({ kind }) =>
        kind === 'compare' ? { kind: 'list', listed: [] } : { kind: 'refused', code: 'INTERNAL' };
      for (const each of says === undefined ? others.slice(1) : others) {
        each.lie = purged;
        each.says = { ...says };
      }
      const [, second = own] = others;
      second.says = { ...second.says, tooOld: [name(own.member)] };
      await put(own, record(1));
      for (let round = 0; round < 4; round++) await node.repair();
      expect(has(own)).toEqual([1]);
    }
  });
});

describe('a change of the members', () => {
  it('is served once this node and enough others are complete', async () => {
    const { node, ready, peers, members, view } = await world({ size: 5 });
    await ready();
    const next = { block: 2, timestampMs: NOW + 5, placement: new Placement(members.slice(0, 4)) };
    for (const peer of peers) peer.node.adopt(next);
    expect([node.view, node.newestMs, node.status().adopted, node.status().complete]).toEqual([
      view,
      NOW + 5,
      2,
      1,
    ]);
    for (let round = 0; round < 3; round++) for (const peer of peers.slice(0, 4)) await peer.node.repair();
    expect([node.view, node.status().complete]).toEqual([next, 2]);
    node.advance(NOW);
    expect(node.newestMs).toBe(NOW + 5);
  });

  it('keeps a node from leaving while it is under way', async () => {
    const { node, ready, members } = await world({ size: 5 });
    await ready();
    expect(await node.drain()).toBe(true);
    node.adopt({ block: 2, timestampMs: NOW, placement: new Placement(members.slice(0, 4)) });
    expect(await node.drain()).toBe(false);
  });

  it('leaves a node that is no member any more without reads and writes', async () => {
    const { node, ready, own, peers, members } = await world({ size: 5 });
    await ready();
    const next = { block: 2, timestampMs: NOW, placement: new Placement(members.slice(1)) };
    for (const peer of peers) peer.node.adopt(next);
    for (let round = 0; round < 3; round++) for (const peer of peers) await peer.node.repair();
    expect(node.view).toBe(next);
    expect([name(own.member) in next, node.isReady]).toEqual([false, false]);
  });
});

describe('copies that others keep', () => {
  it('are dropped by a node that is complete, and not before they are there', async () => {
    const { node, ready, put, peers, own, others, has, view } = await world({ size: 9 });
    await ready();
    const dice = new Dice(6);
    const ids = Array.from({ length: 40 }, () => dice.bytes(32));
    for (const id of ids) await put(own, record(1, id));
    const foreign = ids.filter((id) => !view.placement.replicasOf(id).includes(own.member));
    expect(foreign.length).toBeGreaterThan(5);
    await node.repair();
    expect(has(own)).toHaveLength(ids.length - foreign.length);
    expect(others.length + 1).toBe(peers.length);
  });
});
