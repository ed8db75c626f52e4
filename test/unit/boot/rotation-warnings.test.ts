import { expect, it } from 'vitest';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { askAgent } from '../../support/ask-agent.ts';
import { loneNode } from '../../support/lone-node.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

const MINUTE_MS = 60_000;

it('after a change of the store key the early warnings look at the servers of the new slots', {
  timeout: 600_000,
}, async () => {
  const net = new SimulatedNetwork(71);
  await net.form(6);
  const { clock, wire } = net.world;
  const lone = await loneNode(net.world, { warnsEarly: true });
  // The first look is not complete, so the next one comes soon; a server without an attestation gets no new slot.
  let withheld: string | undefined;
  wire.forge = ({ from, endpoint, path }) =>
    from === 'lone' &&
    path === '/attestation' &&
    lone.node.open !== undefined &&
    endpoint === (withheld ?? endpoint)
      ? { status: 503, body: {} }
      : undefined;
  await lone.node.start();
  for (let waited = 0; lone.node.state.name !== 'backed'; waited += 250) {
    if (waited > 5 * MINUTE_MS) throw new Error('it never came');
    await clock.advance(250);
  }
  const { state } = lone.node;
  withheld = state.name === 'backed' ? state.slots[0]?.endpoint : undefined;
  const servers = () =>
    lone.node.open?.book.newest?.slots.map(({ server }) => encodeSs58(server)).sort() ?? [];
  const looked = async (): Promise<readonly string[]> => {
    const answer = await askAgent(lone.node.addresses.agent.slice('unix:'.length), 'GET', '/status');
    const { tcbWarnings } = (answer?.json ?? {}) as { tcbWarnings?: { servers: { server: string }[] } };
    return tcbWarnings?.servers.map(({ server }) => server).sort() ?? [];
  };
  const former = servers();
  expect(await looked()).toEqual(former);
  await clock.advance(MINUTE_MS);
  await clock.until(lone.node.rotateStoreKey());
  expect(servers()).not.toEqual(former);
  for (let waited = 0; waited < 20 && (await looked()).join() === former.join(); waited++)
    await clock.advance(MINUTE_MS);
  expect(await looked()).toEqual(servers());
  await lone[Symbol.asyncDispose]();
  await net.close();
});
