import { describe, expect, it } from 'vitest';
import { LAST_NUMBER } from '../../../src/boot/node/account-hold.ts';
import { InstanceId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { Lineage } from '../../../src/lineage/lineage.ts';
import type { LineageState } from '../../../src/protocol/lineage-state.ts';
import { lineage, nodeWith, otherProcess, serverOf, unknown } from '../../support/erasing-node.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const FORMER = 6;

describe('the lineage of a former store key', () => {
  const former = lineageOf(FORMER);
  const [last, from] = [LAST_NUMBER, 3].map((number) => former.incarnation(number, bootOf(4)));
  const instanceId = InstanceId.of(new Uint8Array(16).fill(0x11));
  const secret = () => new SecretBytes(new Uint8Array(32).fill(FORMER));
  if (last === undefined || from === undefined) throw new Error('no boots');

  /** A node that changed its key as boot 3 of the former lineage, which server 1 knows. */
  async function changed({ ownSecret = secret(), isAccepted = false } = {}) {
    const node = await nodeWith(new MemoryStore(), [], { isAccepted });
    // The server has a slot of two generations; it is asked once.
    const generations = [2, 3].map((t) => ({ t, servers: [{ server: serverOf(1), instanceId }] }));
    await node.older.leaveLineage({ secret: ownSecret, last: { number: 3, boot: bootOf(4) }, generations });
    const closings = async () => (await node.run([1])).filter(({ update }) => update.close !== undefined);
    /** What server 1 answers to a request to close; nothing of the present lineage. */
    const answer = (state: () => LineageState) =>
      node.answers.set(1, ({ close }) => {
        if (close === undefined) throw unknown();
        return state();
      });
    return { ...node, closings, answer };
  }

  it('is to be closed by a last mark above all others, on the condition of the ordinary mark', async () => {
    const node = await changed();
    for (const _ of [1, 2]) {
      const [one] = await node.closings();
      expect(one?.key).toBe(toHex(new Lineage(secret()).keyOf(serverOf(1)).reveal()));
      expect(one?.update).toMatchObject({ incarnation: from, head: undefined, forget: [], close: { last } });
      const head = one?.update.close?.head;
      expect(head && former.isOwnHead({ ...head, incarnation: last })).toBe(true);
    }
    node.answer(() => stateOf({ shown: last, closed: true }));
    await node.closings();
    expect(node.older.lineages).toEqual([]);
  });

  it('is not closed because a server says so: only the last mark proves it', async () => {
    const node = await changed();
    for (const shown of [from, { ...last, bootId: last.bootId.map((byte) => byte ^ 1) }]) {
      node.answer(() => stateOf({ shown, closed: true }));
      await node.closings();
      expect(node.older.lineages).toHaveLength(1);
    }
    expect(node.overtaken).toEqual([]);
  });

  it('with a newer instance in it ends this one, which did not know of it', async () => {
    const node = await changed();
    const newer = former.incarnation(4, bootOf(9));
    node.answer(() => stateOf({ shown: newer }));
    await node.closings();
    expect(node.overtaken).toEqual([newer]);
    expect(node.older.lineages).toHaveLength(1);
  });

  const fruitless = ['it closes nothing', 'it knows nothing, as the same process'] as const;
  it.each(fruitless)('is to be closed with growing pauses while that brings nothing: %s', async (why) => {
    const node = await changed();
    node.instances.set(1, instanceId);
    node.answer(() => {
      if (why === 'it closes nothing') return stateOf({ shown: from });
      throw unknown();
    });
    let requests = 0;
    for (let look = 0; look < 1_000; look++) {
      const asked = await node.run([1], {}, 1);
      requests += asked.filter(({ update }) => update.close !== undefined).length;
    }
    expect(requests).toBeGreaterThan(7);
    expect(requests).toBeLessThan(14);
  });

  it('is closed by its own servers: no other one is asked', async () => {
    const node = await changed();
    const asked = await node.run([1, 2]);
    expect(asked.filter(({ update }) => update.close !== undefined).map(({ server }) => server)).toEqual([1]);
  });

  it('is left alone while the store opens under it: the key was not changed', async () => {
    const node = await changed({ ownSecret: new SecretBytes(lineage.secret.reveal()) });
    expect(await node.closings()).toEqual([]);
  });

  it('is lost, and so closed, at a server of which another process is attested', async () => {
    const node = await changed();
    node.answer(() => {
      throw unknown();
    });
    node.instances.set(1, instanceId);
    await node.closings();
    expect(node.older.lineages).toHaveLength(1);
    node.instances.set(1, otherProcess);
    await node.closings();
    expect(node.older.lineages).toEqual([]);
  });

  it('is to be closed by a server that comes back to the chain', async () => {
    const node = await changed();
    await node.run([2]);
    expect(node.older.lineages).toHaveLength(1);
    node.answer(() => stateOf({ shown: last, closed: true }));
    await node.closings();
    expect(node.older.lineages).toEqual([]);
  });

  it('that another instance has closed ends this one: that instance has a store key of its own', async () => {
    const node = await changed();
    const other = former.incarnation(LAST_NUMBER, bootOf(9));
    node.answer(() => stateOf({ shown: other, closed: true }));
    await node.closings();
    expect(node.overtaken).toEqual([other]);
    expect(node.older.lineages).toHaveLength(1);
  });

  it('is closed on the mark of a newer instance that the operator accepted to lose, also at later starts', async () => {
    const node = await changed({ isAccepted: true });
    const newer = former.incarnation(4, bootOf(9));
    node.answer(() => stateOf({ shown: newer }));
    await node.closings();
    const [again] = await node.closings();
    expect(again?.update).toMatchObject({ incarnation: newer, close: { last } });
    const later = await nodeWith(node.store);
    later.answers.set(1, ({ close }) => {
      if (close === undefined) throw unknown();
      return stateOf({ shown: newer });
    });
    const [first] = (await later.run([1])).filter(({ update }) => update.close !== undefined);
    expect(first?.update).toMatchObject({ incarnation: newer, close: { last } });
    expect(later.overtaken).toEqual([]);
    node.answer(() => stateOf({ shown: last, closed: true }));
    await node.closings();
    expect(node.older.lineages).toEqual([]);
  });

  it('is closed where several servers show the mark that the operator accepted to lose', async () => {
    const node = await nodeWith(new MemoryStore(), [], { isAccepted: 'once' });
    const servers = [1, 2, 3].map((number) => ({ server: serverOf(number), instanceId }));
    const closing = { number: 3, boot: bootOf(4) };
    await node.older.leaveLineage({ secret: secret(), last: closing, generations: [{ t: 2, servers }] });
    const newer = former.incarnation(4, bootOf(9));
    let shown = newer;
    for (const number of [1, 2, 3]) {
      node.answers.set(number, ({ close }) => {
        if (close === undefined) throw unknown();
        return stateOf({ shown, closed: shown === last });
      });
    }
    // All are asked at once, before any answer is taken.
    await node.run();
    expect([node.overtaken, node.fencedBy]).toEqual([[newer, newer, newer], []]);
    shown = last;
    await node.run();
    expect([node.older.lineages, node.fencedBy]).toEqual([[], []]);
  });

  it('that another instance has closed counts as closed once the operator accepted that', async () => {
    const node = await changed({ isAccepted: true });
    node.answer(() => stateOf({ shown: former.incarnation(LAST_NUMBER, bootOf(9)), closed: true }));
    await node.closings();
    expect(node.older.lineages).toEqual([]);
  });
});
