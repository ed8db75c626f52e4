import { expect, it } from 'vitest';
import { endNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';

const LONG = { timeout: 600_000 };
/** Rolling restarts of one day: several upgrades that each restart the whole fleet. */
const ROUNDS = 6;

/** Waits as an orchestrator does: until the machine is open and its former clients are back, or its deadline passed. */
async function untilReady(net: SimulatedNetwork, node: SimulatedNode): Promise<void> {
  for (let seconds = 0; seconds < 300; seconds++) {
    await net.world.clock.advance(1_000);
    if (node.open !== undefined && node.serving?.formerClients.pending === 0) return;
  }
  expect.fail(`${node.name} is ${node.state.name} and does not become ready`);
}

/** How many more slots a node can lose without losing its store, as it reports itself. */
function spareSlots({ state }: SimulatedNode): number {
  return 'live' in state && 't' in state ? state.live - state.t : -1;
}

it(
  'many rolling restarts of its servers in one day lose no store, without a spare server',
  LONG,
  async () => {
    const { net, node, servers } = await formedNetwork(1207, 6);
    for (let round = 0; round < ROUNDS; round++) {
      for (const server of servers) {
        await restart(net, server);
        await untilReady(net, server);
        expect(spareSlots(node), `round ${round}, ${server.name}`).toBeGreaterThan(0);
      }
    }
    // Its own turn comes last: t of its slots must be live.
    await restart(net, node);
    await untilReady(net, node);
    await net.settle(120_000);
    expect(net.nodes.map(({ state }) => state.name)).toEqual(Array(6).fill('backed'));
    await endNetwork(net);
  },
);
