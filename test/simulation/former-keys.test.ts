import { describe, expect, it } from 'vitest';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { endNetwork, formedNetwork } from '../support/formed-network.ts';
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

/** Changes the store key of a machine; another one gets a copy of the disk from the last moment before the change. */
async function changeKey(net: SimulatedNetwork, node: SimulatedNode): Promise<SimulatedNode> {
  const { wire, clock } = net.world;
  const copy = net.addTwin(node);
  const before = wire.onExchange;
  wire.onExchange = (exchange) => {
    before(exchange);
    if (exchange.from === node.name && exchange.path === '/key-status') copy.disk = node.disk.clone();
  };
  await clock.until(
    node.rotateStoreKey().finally(() => {
      wire.onExchange = before;
    }),
  );
  copy.disk = copy.disk.afterKill();
  return copy;
}

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
