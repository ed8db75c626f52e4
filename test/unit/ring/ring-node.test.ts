import { describe, expect, it } from 'vitest';
import { TOO_OLD_MS } from '../../../src/ring/replication/holdings.ts';
import type { RingRequest } from '../../../src/ring/replication/messages.ts';
import {
  codeOf,
  honest,
  ID,
  NOW,
  name,
  OTHER_ID,
  record,
  ringOfNodes,
  silent,
} from '../../support/ring-of-nodes.ts';
import { ringRecord, versionOf } from '../../support/ring-records.ts';

const FAR = NOW + 10 * TOO_OLD_MS;

describe('a node that reads and writes', () => {
  it('needs to have heard enough others, to be complete, and to be a member', async () => {
    const { node, ready } = await ringOfNodes();
    expect([node.isReady, await codeOf(node.write(record(1)))]).toEqual([false, 'RING_NOT_READY']);
    await ready();
    expect([node.isReady, await codeOf(node.write(record(1)))]).toEqual([true, 'none']);
    const behind = await ringOfNodes({ complete: 0 });
    expect(behind.node.isReady).toBe(false);
    await behind.ready();
    expect(behind.node.isReady).toBe(true);
  });

  it('needs a majority for each, and asks four times', async () => {
    const { node, ready, lie, others } = await ringOfNodes();
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
      const { node, ready, lie } = await ringOfNodes();
      await ready();
      lie(() => ({ kind: 'superseded', bytes }), honest, honest);
      expect(await node.write(record(2))).toEqual({ kind: 'written' });
      // None of these is a stored record.
      lie(() => ({ kind: 'superseded', bytes }), silent, honest);
      expect(await codeOf(node.write(record(2)))).toBe('RING_QUORUM_MISSING');
    }
  });

  it('learns of a newer record, whoever has it', async () => {
    const { node, ready, lie } = await ringOfNodes();
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
      const { node, ready, lie, put, own } = await ringOfNodes();
      await ready();
      await put(own, record(order[0] ?? 0));
      const bytes = record(order[1] ?? 0);
      lie(() => ({ kind: 'record', bytes }), silent, silent);
      const { entry } = await node.read(ID);
      expect(entry && versionOf(entry)).toBe(2);
    }
  });

  it('takes no answer of another kind, of another id, or of a member whose copy is too old', async () => {
    const { node, ready, lie, others } = await ringOfNodes();
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
    const { node, ready, lie } = await ringOfNodes();
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
    const { node, ready, lie, others } = await ringOfNodes();
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
    const { node, ready, others } = await ringOfNodes();
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
    const { node, ready, lie, put, own, others, has } = await ringOfNodes();
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
