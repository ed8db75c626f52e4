import { expect, it } from 'vitest';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import type { Generation } from '../../src/keyslots/keyslot-file.ts';
import { formedNetwork, restart } from '../support/formed-network.ts';
import { KEYSLOTS, type SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import { fileOf, keptSlots, machinesOf } from '../support/slot-picture.ts';

const LONG = { timeout: 300_000 };

/** The host lets no request of a machine pass that has a slot of this generation erased; all others pass. */
function keepSlots({ world }: SimulatedNetwork, node: SimulatedNode, { slots }: Generation): void {
  const ids = slots.map(({ slotId }) => toPrefixedHex(slotId));
  world.wire.forge = ({ from, path, body }) => {
    if (from !== node.name || path !== '/lineage-update') return undefined;
    return ids.some((id) => JSON.stringify(body).includes(id)) ? 'hang' : undefined;
  };
}

/** The host puts an older keyslot file beside the newest store, and keeps the newest file. */
async function withOlderKeyslots(seed: number) {
  const { net, node, first, newest } = await formedNetwork(seed, 12);
  const { clock, wire } = net.world;
  expect(await net.witness.write(node)).toBe(true);
  const older = node.disk.files().get(KEYSLOTS);
  keepSlots(net, node, newest);
  await restart(net, first);
  await net.settle(60_000);
  const file = await fileOf(node);
  const left = file.generations[0];
  expect(left.generation).toBeGreaterThan(newest.generation);
  const [last] = machinesOf(net, left).slice(-1);
  await clock.until(node.kill());
  node.disk.tamper(KEYSLOTS, older);
  keepSlots(net, node, left);
  // With one slot that is not proved the node does not look for slots that it does not know.
  const endpoint = last?.endpoint ?? expect.fail();
  wire.dropped.add({ from: node.name, endpoint, path: '/key-status', what: 'requests' });
  node.start();
  await net.settle(90_000);
  expect(await net.witness.write(node)).toBe(true);
  return { net, node, file, left };
}

it(
  'a generation that an older keyslot file lacks is left behind, and its number is not used again',
  LONG,
  async () => {
    const { net, node, file, left } = await withOlderKeyslots(1921);
    const [present] = (await fileOf(node)).generations;
    expect(present.generation).toBeGreaterThan(left.generation);
    expect(keptSlots(net, file, left)).toBeGreaterThanOrEqual(left.t);
    expect(node.open?.older.open.map(({ generation }) => generation)).toContain(left.generation);
    await net.close();
  },
);
