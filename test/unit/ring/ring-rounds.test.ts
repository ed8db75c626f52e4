import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { Placement } from '../../../src/ring/placement/placement.ts';
import { TOO_OLD_MS } from '../../../src/ring/replication/holdings.ts';
import { MAX_QUESTIONS, MAX_ROUND_BYTES, MAX_TURN_MS } from '../../../src/ring/replication/repair.ts';
import { Dice } from '../../support/dice.ts';
import {
  codeOf,
  honest,
  ID,
  type Lie,
  NOW,
  name,
  OTHER_ID,
  record,
  ringOfNodes,
  silent,
} from '../../support/ring-of-nodes.ts';
import { ringFormat, ringRecord, versionOf } from '../../support/ring-records.ts';

describe('a round of repair', () => {
  it('needs enough others before it takes anything from one', async () => {
    const { node, lie, put, others, own, has } = await ringOfNodes();
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
    const { node, ready, put, own, others, has } = await ringOfNodes();
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
    const { node, ready, lie, put, own, others, has } = await ringOfNodes();
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
      const { node, ready, lie, others } = await ringOfNodes();
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
    const { node, ready, lie, others, time } = await ringOfNodes();
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

  it('asks for 64 records at a time', async () => {
    const { node, ready, others, put, own, has } = await ringOfNodes();
    await ready();
    const dice = new Dice(3);
    for (let at = 0; at < 65; at++) await put(others[0], record(1, dice.bytes(32)));
    await node.repair();
    const fetches = others[0]?.asked.flatMap((request) =>
      request.kind === 'fetch' ? [request.ids.length] : [],
    );
    expect(fetches).toEqual([64, 1]);
    expect(has(own)).toHaveLength(65);
  });

  it('stops when its turn with a member is over, and goes on in the next one', async () => {
    const { node, ready, lie, put, own, others, time, has } = await ringOfNodes();
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
      const { node, ready, lie, put, own } = await ringOfNodes();
      await ready();
      await put(own, record(1));
      lie((request) => (request.kind === kind ? { kind: 'refused', code: 'RING_NOT_READY' } : undefined));
      expect(await node.repair()).toBe(false);
    }
  });

  it('brings nothing to a member that has outlived this node but what is newer there', async () => {
    const { node, ready, put, own, others, has } = await ringOfNodes();
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
    const { node, ready, put, own, others, has } = await ringOfNodes();
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
    const { node, ready, put, own, others, has } = await ringOfNodes();
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
      const { node, ready, put, own, others, has } = await ringOfNodes();
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
      for (let round = 0; round < 4; round++) {
        await node.repair();
        expect(has(own)).toEqual([1]);
      }
    }
  });
});

describe('a change of the members', () => {
  it('is served once this node and enough others are complete', async () => {
    const { node, ready, peers, members, view } = await ringOfNodes({ size: 5 });
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
    const { node, ready, members } = await ringOfNodes({ size: 5 });
    await ready();
    expect(await node.drain()).toBe(true);
    node.adopt({ block: 2, timestampMs: NOW, placement: new Placement(members.slice(0, 4)) });
    expect(await node.drain()).toBe(false);
  });

  it('leaves a node that is no member any more without reads and writes', async () => {
    const { node, ready, peers, members } = await ringOfNodes({ size: 5 });
    await ready();
    const next = { block: 2, timestampMs: NOW, placement: new Placement(members.slice(1)) };
    for (const peer of peers) peer.node.adopt(next);
    for (let round = 0; round < 3; round++) for (const peer of peers) await peer.node.repair();
    expect(node.view).toBe(next);
    expect(node.isReady).toBe(false);
  });
});

describe('copies that others keep', () => {
  it('are dropped by a node that is complete, and not before they are there', async () => {
    const { node, ready, put, peers, own, others, has, view } = await ringOfNodes({ size: 9 });
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

describe('what a node does without', () => {
  it('is to ask itself over the network, and to doubt its own copy', async () => {
    const { node, ready, own, others, lie, put } = await ringOfNodes();
    await ready();
    await put(own, record(1));
    const [, second = own] = others;
    second.says = { tooOld: [name(own.member)] };
    node.advance(NOW + TOO_OLD_MS);
    lie(silent, honest, silent);
    await codeOf(node.read(ID));
    const { entry } = await node.read(ID);
    expect(entry && versionOf(entry)).toBe(1);
    expect(own.asked).toEqual([]);
  });

  it('is a record of the others, when it has one itself', async () => {
    const { node, ready, own, put } = await ringOfNodes();
    await ready();
    await put(own, record(1));
    const { entry } = await node.read(ID);
    expect(entry && versionOf(entry)).toBe(1);
  });

  it('is the answer of all, once it has heard enough since its start', async () => {
    const { node, ready, own, others, lie, put, has } = await ringOfNodes();
    await ready();
    await put(others[0], record(1));
    lie(honest, silent, silent);
    await node.repair();
    expect(has(own)).toEqual([1]);
  });

  it('is no repair: it serves when nothing differs any more', async () => {
    const { node, ready, others } = await ringOfNodes({ complete: 0 });
    for (const each of others)
      each.lie = ({ kind }) => (kind === 'repaired' ? { kind: 'refused', code: 'INTERNAL' } : undefined);
    await ready();
    expect([node.isReady, await codeOf(node.read(ID))]).toEqual([false, 'RING_NOT_READY']);
  });
});

describe('a node that leaves', () => {
  it('has others in its place, and waits for one that begins to drain meanwhile', async () => {
    const { node, ready, own, others } = await ringOfNodes();
    await ready();
    const [first = own, second = own] = others;
    first.says = { draining: true };
    expect(await node.drain()).toBe(false);
    expect(second.asked.find(({ kind }) => kind === 'compare')).toMatchObject({
      without: [name(own.member)],
    });
    expect(await node.drain()).toBe(true);
  });

  it('waits while something differs, and for no member that is silent', async () => {
    const { node, ready, lie } = await ringOfNodes();
    await ready();
    lie(({ kind }) => (kind === 'repaired' ? { kind: 'refused', code: 'INTERNAL' } : undefined));
    for (let round = 0; round < 3; round++) expect(await node.drain()).toBe(false);
    lie(silent);
    for (let round = 0; round < 3; round++) expect(await node.drain()).toBe(false);
    expect(await node.drain()).toBe(true);
  });

  it('waits for a member that does not compare', async () => {
    const { node, ready, lie, others } = await ringOfNodes();
    await ready();
    lie(({ kind }) => (kind === 'compare' ? { kind: 'refused', code: 'RING_BUSY' } : undefined));
    for (let round = 0; round < 3; round++) expect(await node.drain()).toBe(false);
    expect(others[0]?.asked.map(({ kind }) => kind)).toEqual(['compare', 'compare', 'compare']);
  });
});

describe('a node that was away', () => {
  it('says nothing of others any more when nearly all have outlived it', async () => {
    const { node, ready, own, others, put } = await ringOfNodes();
    await ready();
    await put(own, ringRecord(ID, 1, NOW));
    node.advance(NOW + 2 * TOO_OLD_MS);
    await node.repair();
    expect(node.status().tooOld).toHaveLength(3);
    const [first = own] = others;
    first.says = { tooOld: [name(own.member)] };
    await node.repair();
    expect(node.status().tooOld).toHaveLength(3);
    for (const each of others) each.says = { tooOld: [name(own.member)] };
    await node.repair();
    expect(node.status().tooOld).toEqual([]);
  });

  it('completes a repair with a member that has outlived it, when that one lacks nothing', async () => {
    const { node, ready, own, others } = await ringOfNodes();
    await ready();
    const [first = own] = others;
    first.says = { tooOld: [name(own.member)] };
    expect(await node.repair()).toBe(true);
    expect(first.asked.map(({ kind }) => kind)).toEqual(['compare', 'repaired']);
  });
});

describe('what a round fetches', () => {
  it('is nothing that is older than what is here', async () => {
    const { node, ready, own, others, put } = await ringOfNodes();
    await ready();
    await put(own, record(2));
    await put(others[0], record(1));
    await node.repair();
    expect(others[0]?.asked.map(({ kind }) => kind)).toEqual(['compare', 'push', 'repaired']);
  });

  it('is nothing more when its turn is over', async () => {
    const { node, ready, lie, others, put, own, has, time } = await ringOfNodes();
    await ready();
    const dice = new Dice(8);
    for (let at = 0; at < 65; at++) await put(others[0], record(1, dice.bytes(32)));
    lie(({ kind }) => {
      if (kind === 'fetch') time.elapsedMs += MAX_TURN_MS;
      return undefined;
    });
    expect(await node.repair()).toBe(false);
    expect(has(own)).toHaveLength(64);
  });

  it('is refused without a failure of the round', async () => {
    const { node, ready, lie, others, put } = await ringOfNodes();
    await ready();
    await put(others[0], record(1));
    lie(({ kind }) => (kind === 'fetch' ? { kind: 'refused', code: 'INTERNAL' } : undefined));
    expect(await node.repair()).toBe(false);
  });

  it('and what it gives leave out what the disk lost', async () => {
    const { node, ready, own, others, put, has } = await ringOfNodes();
    await ready();
    await put(own, record(1));
    await put(own, record(1, OTHER_ID));
    own.store.records.delete(toHex(ID));
    await node.repair();
    expect(others.map(has)).toEqual([[1], [1], [1]]);
    expect(await node.repair()).toBe(true);
  });
});

describe('copies that others keep', () => {
  const ids = () => {
    const dice = new Dice(6);
    return Array.from({ length: 40 }, () => dice.bytes(32));
  };

  it('stay while the members change, and while this node is not complete', async () => {
    const changing = await ringOfNodes({ size: 9 });
    await changing.ready();
    for (const id of ids()) await changing.put(changing.own, record(1, id));
    changing.lie(...changing.others.map(() => silent));
    const next = { block: 2, timestampMs: NOW, placement: new Placement(changing.members.slice(0, 8)) };
    changing.node.adopt(next);
    await changing.node.repair();
    expect([changing.node.view.block, changing.has(changing.own).length]).toEqual([1, 40]);

    const behind = await ringOfNodes({ size: 9, complete: 0 });
    behind.lie(
      ...behind.others.map(
        (): Lie =>
          ({ kind }) =>
            kind === 'repaired' ? { kind: 'refused', code: 'INTERNAL' } : undefined,
      ),
    );
    await behind.ready();
    for (const id of ids()) await behind.put(behind.own, record(1, id));
    await behind.node.repair();
    expect([behind.node.status().complete, behind.has(behind.own).length]).toEqual([0, 40]);
  });
});

describe('the bytes of a round', () => {
  const MIB = 1024 * 1024;
  const BODY_BYTES = record(1).length;
  /** Records with so much behind them that each has a megabyte. */
  const format = {
    read: (bytes: Uint8Array) => ({ ...ringFormat.read(bytes.subarray(0, BODY_BYTES)), bytes }),
  };
  const large = (id: Uint8Array) => {
    const bytes = new Uint8Array(MIB);
    bytes.set(record(1, id));
    return bytes;
  };

  it.each(['given', 'taken'])('are bounded, to the byte, over all members (%s)', async (way) => {
    const { node, ready, own, others, peers, put, has } = await ringOfNodes({ format });
    await ready();
    const [first = own] = others;
    const dice = new Dice(9);
    const most = MAX_ROUND_BYTES / MIB;
    for (let at = 0; at <= most; at++) await put(way === 'given' ? own : first, large(dice.bytes(32)));
    const copies = () => peers.reduce((sum, peer) => sum + has(peer).length, 0);
    const moved: number[] = [];
    for (let round = 0; round < 8; round++) {
      const before = copies();
      await node.repair();
      moved.push(copies() - before);
    }
    expect(moved[0]).toBe(most);
    expect(Math.max(...moved)).toBe(most);
    // Each of four has each record.
    expect(copies()).toBe(4 * (most + 1));
  });
});

describe('what differs between two members', () => {
  const kinds = (asked: readonly { readonly kind: string }[]) => asked.map(({ kind }) => kind);

  it('is not what is the same at both, beside what differs', async () => {
    const giving = await ringOfNodes();
    await giving.ready();
    for (const peer of [giving.own, giving.others[0]]) await giving.put(peer, record(1));
    await giving.put(giving.own, record(1, OTHER_ID));
    await giving.node.repair();
    expect(kinds(giving.others[0]?.asked ?? [])).toEqual(['compare', 'push', 'repaired']);

    const taking = await ringOfNodes();
    await taking.ready();
    for (const peer of [taking.own, taking.others[0]]) await taking.put(peer, record(1));
    await taking.put(taking.others[0], record(1, OTHER_ID));
    await taking.node.repair();
    expect(taking.others[0]?.asked[1]).toEqual({ kind: 'fetch', ids: [toHex(OTHER_ID)] });
  });

  it('is not given back to the member that has the newer one', async () => {
    const { node, ready, own, others, put } = await ringOfNodes();
    await ready();
    await put(own, record(1));
    await put(others[0], record(2));
    await node.repair();
    expect(kinds(others[0]?.asked ?? [])).toEqual(['compare', 'fetch', 'repaired']);
  });

  it('is no failure when the disk lost it while it was to be given', async () => {
    const { node, ready, own, others, put, has } = await ringOfNodes();
    await ready();
    for (const each of others)
      each.lie = ({ kind }) => (kind === 'compare' ? { kind: 'list', listed: [] } : undefined);
    const [first = own] = others;
    first.says = { tooOld: [name(own.member)] };
    await put(own, record(1));
    own.store.records.clear();
    await node.repair();
    expect(has(own)).toEqual([]);
  });
});
