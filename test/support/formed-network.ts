import { expect } from 'vitest';
import type { Generation, KeyslotFile } from '../../src/keyslots/keyslot-file.ts';
import type { TrustSection } from '../../src/trust/trust-section.ts';
import { SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedNode } from './simulated-network-node.ts';
import { fileOf, machinesOf } from './slot-picture.ts';

/** A network in which all nodes are backed, and its first node, the subject of a story. */
export interface FormedNetwork {
  readonly net: SimulatedNetwork;
  readonly node: SimulatedNode;
  /** The node's keyslot file, and the newest generation in it. */
  readonly file: KeyslotFile;
  readonly newest: Generation;
  /** The machines that hold the slots of that generation, in its order. */
  readonly servers: readonly SimulatedNode[];
  /** The first of them. */
  readonly first: SimulatedNode;
}

/** Makes a network of `count` machines and waits until all are backed. */
export async function formedNetwork(
  seed: number,
  count = 7,
  trust?: TrustSection,
  prepare: (net: SimulatedNetwork) => void = () => undefined,
): Promise<FormedNetwork> {
  const net = new SimulatedNetwork(seed, undefined, trust);
  prepare(net);
  await net.form(count);
  expect(net.nodes.map(({ state }) => state.name)).toEqual(Array(count).fill('backed'));
  const [node] = net.nodes;
  if (node === undefined) throw new RangeError('a network needs a machine');
  const file = await fileOf(node);
  const [newest] = file.generations;
  const servers = machinesOf(net, newest);
  const [first] = servers;
  if (first === undefined) throw new Error('a backed node has servers');
  return { net, node, file, newest, servers, first };
}

/** Ends a network in which nothing may have happened that must not. */
export async function endNetwork(net: SimulatedNetwork): Promise<void> {
  net.check();
  expect(net.world.violations).toEqual([]);
  await net.close();
}

/** Ends a machine's process as a crash does, and starts it again. */
export async function restart(net: SimulatedNetwork, node: SimulatedNode | undefined): Promise<void> {
  if (node === undefined) throw new RangeError('no such machine');
  await net.world.clock.until(node.kill());
  node.start();
}

/** Changes the store key of a machine; another one gets a copy of the disk from the last moment before the change. */
export async function changeKey(net: SimulatedNetwork, node: SimulatedNode): Promise<SimulatedNode> {
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
