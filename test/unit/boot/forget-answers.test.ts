import { expect, it } from 'vitest';
import type { SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { Lineage } from '../../../src/lineage/lineage.ts';
import { decodeClaim } from '../../../src/protocol/slot-messages.ts';
import { type FormedNetwork, formedNetwork, restart } from '../../support/formed-network.ts';
import { bootOf } from '../../support/lineages.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';

const LONG = { timeout: 120_000 };
const refused = { status: 503, body: {} };

/**
 * At these servers a newer instance of the node shows itself just before the node has a slot forgotten there.
 * @param silent gives no keys.
 */
function showNewerAtForget(
  { net, node }: FormedNetwork,
  servers: readonly SimulatedNode[],
  silent?: SimulatedNode,
) {
  const { open } = node;
  if (open === undefined) throw new Error('not open');
  const lineage = new Lineage(new SecretBytes(open.hold.lineage.secret.reveal()));
  const newer = lineage.incarnation(open.hold.incarnation.number + 1, bootOf(9));
  const recordOf = ({ memory }: SimulatedNode, slotId: SlotId) =>
    memory?.find(open.identity.account, slotId, net.world.clock.nowMs())?.lineage;
  let shown = 0;
  net.world.wire.forge = ({ from, endpoint, path, body }) => {
    if (from !== node.name) return undefined;
    if (endpoint === silent?.endpoint && path === '/challenge') return refused;
    const server = servers.find((one) => one.endpoint === endpoint);
    if (path === '/forget' && server !== undefined) {
      const record = recordOf(server, decodeClaim(body).envelope.name);
      if (record === undefined) throw new Error('the slot is not linked');
      record.show(newer);
      shown++;
      return undefined;
    }
    // No other answer may tell of it.
    const isTelling = path.startsWith('/lineage') || path === '/key-status' || path === '/forget';
    return path.startsWith('/lineage') || (shown > 0 && isTelling) ? refused : undefined;
  };
  return () => shown;
}

it(
  'an answer to the forgetting of a slot that was not linked in time shows a newer instance',
  LONG,
  async () => {
    const formed = await formedNetwork(921, 8);
    const { net, node, servers, first } = formed;
    const others = net.nodes.filter((other) => other !== node && !servers.includes(other));
    const shown = showNewerAtForget(formed, others);
    // The slots are linked, and the answers that say so get lost.
    for (const { endpoint } of others) {
      net.world.wire.dropped.add({ from: node.name, endpoint, path: '/key-status', what: 'answers' });
    }
    await net.world.clock.until(first.kill());
    await net.settle(60_000);
    expect(shown()).toBeGreaterThan(0);
    expect(node.state).toMatchObject({ name: 'fenced', cause: 'newer-instance' });
    await net.close();
  },
);

it('an answer to the forgetting of slots that are too few shows a newer instance', LONG, async () => {
  const formed = await formedNetwork(922, 6);
  const { net, node, servers, first } = formed;
  const shown = showNewerAtForget(formed, servers, first);
  await restart(net, first);
  await net.settle(60_000);
  expect(shown()).toBeGreaterThan(0);
  expect(node.state).toMatchObject({ name: 'fenced', cause: 'newer-instance' });
  await net.close();
});
