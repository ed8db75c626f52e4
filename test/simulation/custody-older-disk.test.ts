import { describe, expect, it } from 'vitest';
import { askCustodians, custodians, trustWith } from '../support/custodians.ts';
import { type FormedNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import { olderDiskOf } from '../support/older-disk.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import { fileOf } from '../support/slot-picture.ts';

const LONG = { timeout: 120_000 };
const two = custodians.slice(0, 2);

/** The host puts an older disk back, and all key servers but the first few restart: fewer than t keys are left. */
async function withOlderDisk({ net, node, servers }: FormedNetwork, remembering: number): Promise<void> {
  const { clock } = net.world;
  const old = await olderDiskOf(net, node);
  await clock.until(node.stop());
  node.disk = old;
  net.tampered.set(node, 'an older disk');
  for (const server of servers.slice(remembering)) await restart(net, server);
  node.start();
  await net.settle(20_000);
  expect(node.state).toMatchObject({ name: 'locked', cause: 'keys-missing' });
}

const cutOff = ({ world }: SimulatedNetwork, node: SimulatedNode, server: SimulatedNode): void => {
  world.wire.cut.add(`${node.name}>${server.endpoint}`);
};

/** Long enough for a node that custodians opened to pass over silent servers. */
async function beyondPatience(net: SimulatedNetwork): Promise<void> {
  await net.settle(net.world.config.healing.patienceMs + 120_000);
}

describe('an older disk, whose newest head fewer than t servers remember', () => {
  it(
    'is refused before it is opened, though the host cuts the last of them off afterwards',
    LONG,
    async () => {
      const formed = await formedNetwork(81, 7, trustWith(2));
      const { net, node, first } = formed;
      await withOlderDisk(formed, 1);
      const { openings } = node;
      await askCustodians(net, node, two);
      cutOff(net, node, first);
      await beyondPatience(net);
      expect(node.openings).toBe(openings);
      expect(node.state).toMatchObject({ name: 'locked', cause: 'rolled-back' });
      await net.close();
    },
  );

  it('is refused by the head in a key that came, though its server shows nothing else', LONG, async () => {
    const formed = await formedNetwork(82, 7, trustWith(2));
    const { net, node, first } = formed;
    await withOlderDisk(formed, 1);
    net.world.wire.dropped.add({
      from: node.name,
      endpoint: first.endpoint,
      path: '/lineage-status',
      what: 'requests',
    });
    await askCustodians(net, node, two);
    cutOff(net, node, first);
    await beyondPatience(net);
    expect(node.state).toMatchObject({ name: 'locked', cause: 'rolled-back' });
    await net.close();
  });

  it('keeps no key after the refusal, and the next request meets the same head', LONG, async () => {
    const formed = await formedNetwork(83, 7, trustWith(2));
    const { net, node, first } = formed;
    await withOlderDisk(formed, 1);
    await askCustodians(net, node, two);
    await net.settle(1_000);
    expect(node.custody.take(await fileOf(node))).toBeUndefined();
    cutOff(net, node, first);
    await askCustodians(net, node, two);
    await beyondPatience(net);
    expect(node.state).toMatchObject({ name: 'locked', cause: 'rolled-back' });
    expect(node.events.filter(({ event }) => event === 'custody.key-dropped')).toHaveLength(2);
    await net.close();
  });

  it('is opened by a new request once a human accepts the loss, without a restart', LONG, async () => {
    const formed = await formedNetwork(84, 7, trustWith(2));
    const { net, node } = formed;
    await withOlderDisk(formed, 1);
    await askCustodians(net, node, two);
    await net.settle(1_000);
    expect(node.state).toMatchObject({ name: 'locked', cause: 'rolled-back' });
    node.acceptRollback();
    await net.settle(1_000);
    expect(node.state.name).toBe('locked');
    await askCustodians(net, node, two);
    await net.settle(20_000);
    // It waits for the other machines, which are locked too.
    expect(node.state).toMatchObject({ name: 'unclaimed' });
    expect(node.open).toBeDefined();
    await net.close();
  });
});
