import { describe, expect, it } from 'vitest';
import type { TrustSection } from '../../src/trust/trust-section.ts';
import { listsOf } from '../support/platform-worlds.ts';
import { SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import { defaultTrust } from '../support/simulated-network-world.ts';
import { machinesOf } from '../support/slot-picture.ts';
import { withStandInCrypto } from '../support/stand-in-crypto.ts';

const LONG = { timeout: 300_000 };

/** Platforms of the node and of the servers that its fleet runs; the enemy's have the numbers after them. */
const FLEET = [1, 2, 3, 4, 5, 6];

/** A node of a fleet, the servers of the fleet, and those of the enemy: genuine machines of the accepted image. */
interface Cast {
  readonly net: SimulatedNetwork;
  readonly node: SimulatedNode;
  readonly fleet: readonly SimulatedNode[];
  readonly enemy: readonly SimulatedNode[];
}

async function formed(seed: number, trust: TrustSection): Promise<Cast> {
  const net = new SimulatedNetwork(seed, 'stand-in', trust);
  net.world.platformLists = listsOf(net.world.pki, { endorsed: FLEET });
  await net.form(11, { brief: true });
  const [node, ...others] = net.nodes;
  if (node === undefined) throw new RangeError('a network needs a machine');
  expect(node.state.name).toBe('backed');
  return { net, node, fleet: others.slice(0, 5), enemy: others.slice(5) };
}

/** The validators take the servers of the fleet off the chain, until the node has looked at all of its slots often. */
async function takeFleetOffChain({ net, fleet }: Cast): Promise<void> {
  for (const server of fleet) net.records.delete(server);
  net.publish();
  await net.settle(120_000);
}

/** The enemy's machines restart while the node is down; then the chain shows the fleet again, and the node starts. */
async function restartEnemyAndNode({ net, node, fleet, enemy }: Cast): Promise<void> {
  const { clock } = net.world;
  await clock.until(node.kill());
  for (const machine of enemy) await clock.until(machine.kill());
  for (const machine of enemy) machine.start();
  for (const server of fleet) await net.register(server);
  await net.settle(20_000);
  node.start();
  await net.settle(120_000);
}

const holdersOf = ({ net, node }: Cast): readonly SimulatedNode[] => {
  const newest = node.open?.book.newest;
  return newest === undefined ? [] : machinesOf(net, newest);
};

describe('the majority of the validators, with genuine machines of the accepted image', () => {
  it('servers: registered: gets all slots, and the store is lost with its machines', LONG, () =>
    withStandInCrypto(async () => {
      const cast = await formed(3201, defaultTrust);
      await takeFleetOffChain(cast);
      expect(cast.node.state.name).toBe('backed');
      expect(holdersOf(cast).filter((machine) => !cast.enemy.includes(machine))).toEqual([]);
      expect(holdersOf(cast)).not.toEqual([]);
      await restartEnemyAndNode(cast);
      expect(cast.node.state).toMatchObject({ name: 'locked', have: 0 });
      await cast.net.close();
    }),
  );

  it('servers: endorsed: gets no slot, and the store opens again', LONG, () =>
    withStandInCrypto(async () => {
      const platforms = { recover: 'bound', servers: 'endorsed', clients: 'any' } as const;
      const cast = await formed(3202, { ...defaultTrust, platforms });
      const holders = holdersOf(cast).map(({ name }) => name);
      await takeFleetOffChain(cast);
      expect(cast.node.state.name).toBe('degraded');
      expect(holdersOf(cast).map(({ name }) => name)).toEqual(holders);
      await restartEnemyAndNode(cast);
      expect(cast.node.state.name).toBe('backed');
      await cast.net.close();
    }),
  );
});
