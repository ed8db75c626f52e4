import { expect } from 'vitest';
import type { SimulatedDisk } from './simulated-disk.ts';
import type { SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedNode } from './simulated-network-node.ts';

/** A node's disk from before writes that its servers know of. The node is left running, on the newer one. */
export async function olderDiskOf(
  net: SimulatedNetwork,
  node: SimulatedNode,
  writes = 1,
): Promise<SimulatedDisk> {
  const { clock } = net.world;
  await clock.until(node.stop());
  const old = node.disk.clone();
  node.start();
  await net.settle(10_000);
  const namespace = await node.open?.store.namespace('data');
  for (let number = 0; number < writes; number++) {
    await clock.until(namespace?.put(`${number}`, new Uint8Array(10)) ?? expect.fail('not open'));
  }
  await net.settle(30_000);
  return old;
}
