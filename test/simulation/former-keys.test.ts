import { describe, expect, it } from 'vitest';
import { PeerClient } from '../../src/boot/peer/peer-client.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { Lineage } from '../../src/lineage/lineage.ts';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { changeKey, endNetwork, formedNetwork } from '../support/formed-network.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import { defaultTrust } from '../support/simulated-network-world.ts';

const LONG = { timeout: 120_000 };
const LEASE_MS = 30_000;
const leased = parseTrustSection({ ...defaultTrust, fencing: { leaseMs: LEASE_MS } });

/** The host lets no request of a machine pass that closes the lineage of a former store key. */
function holdBackClosings({ world, nodes }: SimulatedNetwork, node: SimulatedNode): void {
  for (const { endpoint } of nodes)
    world.wire.dropped.add({ from: node.name, endpoint, path: '/lineage-update', what: 'requests' });
}

/** Who has the lineage secret of a store, and nothing else: neither a machine nor a server key. */
function thiefOf(net: SimulatedNetwork, node: SimulatedNode) {
  const open = node.open ?? expect.fail();
  const { account } = open.identity;
  const lineage = new Lineage(new SecretBytes(open.hold.lineage.secret.reveal()));
  const { number } = open.hold.incarnation;
  const random = (length: number) => net.world.dice.bytes(length);
  const { clock, wire } = net.world;
  const client = new PeerClient({ transport: wire.transportFrom('thief'), clock, random });
  /** Shows a mark above all that this machine has made. @returns whether the server took it. */
  const show = async (server: SimulatedNode): Promise<boolean> => {
    const record = net.records.get(server) ?? expect.fail();
    const incarnation = lineage.incarnation(number + 100, random(8));
    const held = { account, key: lineage.keyOf(record.account), observer: { observe: () => undefined } };
    const update = { incarnation, head: undefined, forget: [], close: undefined };
    const state = await clock.until(client.lineageUpdate(record, held, update));
    return state.lineage?.shown.number === incarnation.number;
  };
  return { show };
}

describe('a thief of a former store key', () => {
  it(
    'ends the node through a server that has not closed its lineage, and through no other one',
    LONG,
    async () => {
      const { net, node, servers } = await formedNetwork(1563);
      const [open, closed] = servers;
      if (open === undefined || closed === undefined) throw new Error('no servers');
      const thief = thiefOf(net, node);
      const route = {
        from: node.name,
        endpoint: open.endpoint,
        path: '/lineage-update',
        what: 'requests',
      } as const;
      net.world.wire.dropped.add(route);
      await net.world.clock.until(node.rotateStoreKey());
      await net.settle(60_000);
      expect(await thief.show(closed)).toBe(false);
      await net.settle(60_000);
      expect(node.state.name).toBe('backed');
      expect(await thief.show(open)).toBe(true);
      net.world.wire.dropped.clear();
      await net.settle(90_000);
      expect(node.state).toMatchObject({ name: 'fenced', cause: 'newer-instance' });
      // A human accepts that mark, and the server closes the lineage on it.
      await net.world.clock.until(node.stop());
      node.acceptsOlderStore = true;
      node.start();
      await net.settle(90_000);
      expect(node.state.name).toBe('backed');
      expect(node.open?.older.lineages).toEqual([]);
      expect(await thief.show(open)).toBe(false);
      await net.close();
    },
  );

  it('ends the node once more at a start for which a human has accepted one mark', LONG, async () => {
    const { net, node, servers } = await formedNetwork(1564);
    const thief = thiefOf(net, node);
    holdBackClosings(net, node);
    await net.world.clock.until(node.rotateStoreKey());
    for (const server of servers) expect(await thief.show(server)).toBe(true);
    await net.world.clock.until(node.stop());
    node.acceptsOlderStore = true;
    net.world.wire.dropped.clear();
    node.start();
    await net.settle(90_000);
    expect(node.state).toMatchObject({ name: 'fenced', cause: 'newer-instance' });
    await net.close();
  });
});

describe('under a lease, after a change of the store key', () => {
  it('a copy of the disk from before the change never writes at the same time', LONG, async () => {
    const { net, node } = await formedNetwork(1561, 7, leased);
    await net.witness.write(node);
    await net.settle(10_000);
    holdBackClosings(net, node);
    const copy = await changeKey(net, node);
    copy.start();
    const wrote = { changed: [0], copy: [] as number[] };
    for (let second = 0; second < 90; second++) {
      await net.settle(1_000);
      if (await net.witness.write(node)) wrote.changed.push(second);
      if (await net.witness.write(copy)) wrote.copy.push(second);
    }
    expect(wrote.copy.length).toBeGreaterThan(0);
    expect(Math.min(...wrote.copy)).toBeGreaterThan(Math.max(...wrote.changed));
    expect(node.state).toMatchObject({
      name: 'unclaimed',
      reason: expect.stringContaining('former store key'),
    });
    net.world.wire.dropped.clear();
    await net.settle(60_000);
    expect(node.state.name).toBe('fenced');
    expect(await net.witness.write(copy)).toBe(true);
    await endNetwork(net);
  });

  it('a node whose former servers close the lineage goes on writing', LONG, async () => {
    const { net, node, newest, servers } = await formedNetwork(1562, 7, leased);
    holdBackClosings(net, node);
    await net.world.clock.until(node.rotateStoreKey());
    await net.settle(LEASE_MS + 5_000);
    expect(await net.witness.write(node)).toBe(false);
    // All but t − 1 of them answer: no copy of the disk can open by the others.
    const { dropped } = net.world.wire;
    const silent = servers.slice(1, newest.t).map(({ endpoint }) => endpoint);
    for (const route of dropped) if (!silent.includes(route.endpoint)) dropped.delete(route);
    expect(dropped.size).toBe(newest.t - 1);
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    expect(await net.witness.write(node)).toBe(true);
    await endNetwork(net);
  });
});
