import { expect, it } from 'vitest';
import { endNetwork, formedNetwork } from '../../support/formed-network.ts';

const refused = { status: 503, body: {} };

it('the key of a server that passes no vetting is not taken after a recovery either, until it passes', {
  timeout: 120_000,
}, async () => {
  const { net, node, newest, servers } = await formedNetwork(931, 6);
  await net.world.clock.until(node.stop());
  const [last] = servers.slice(-1);
  const slot = newest.slots.at(-1);
  if (last === undefined || slot === undefined) throw new Error('no server');
  // Only the recovery and the fetching of missing keys ask for attestations of servers that have a slot.
  net.world.wire.forge = ({ from, endpoint, path }) =>
    from === node.name && endpoint === last.endpoint && path === '/attestation' ? refused : undefined;
  node.start();
  await net.world.clock.advance(8_000);
  expect(node.state.name).not.toBe('backed');
  expect(node.open?.hold.holds).toBe(true);
  expect(node.open?.book.keyOf(slot.slotId)).toBeUndefined();
  net.world.wire.forge = () => undefined;
  await net.settle(60_000);
  expect(node.state.name).toBe('backed');
  await endNetwork(net);
});
