import { expect, it } from 'vitest';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { askAgent } from '../../support/ask-agent.ts';
import { loneNode } from '../../support/lone-node.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

const HOUR_MS = 3_600_000;

it('after a change of the store key the early warnings look at the servers of the new slots', {
  timeout: 600_000,
}, async () => {
  const net = new SimulatedNetwork(71);
  await net.form(6);
  const { clock, wire } = net.world;
  const lone = await loneNode(net.world, {
    warnsEarly: true,
    config: { healing: { ...net.world.config.healing, intervalMs: HOUR_MS } },
  });
  await lone.node.start();
  for (let waited = 0; lone.node.state.name !== 'backed'; waited += 250) {
    if (waited > 300_000) throw new Error('it never came');
    await clock.advance(250);
  }
  const servers = () =>
    lone.node.open?.book.newest?.slots.map(({ server }) => encodeSs58(server)).sort() ?? [];
  const looked = async (): Promise<readonly string[]> => {
    const answer = await askAgent(lone.node.addresses.agent.slice('unix:'.length), 'GET', '/status');
    const { tcbWarnings } = (answer?.json ?? {}) as { tcbWarnings?: { servers: { server: string }[] } };
    return tcbWarnings?.servers.map(({ server }) => server).sort() ?? [];
  };
  const until = async (condition: () => Promise<boolean>): Promise<void> => {
    for (let waited = 0; !(await condition()); waited += HOUR_MS) {
      if (waited > 48 * HOUR_MS) throw new Error('no look came');
      await clock.advance(HOUR_MS);
    }
  };
  const former = servers();
  await until(async () => (await looked()).join() === former.join());
  // One of the former servers gives no new key, so that another one takes its place.
  const { state } = lone.node;
  const first = state.name === 'backed' ? state.slots[0] : undefined;
  wire.forge = ({ from, endpoint, path }) =>
    from === 'lone' && endpoint === first?.endpoint && path !== '/key-status'
      ? { status: 503, body: {} }
      : undefined;
  await clock.until(lone.node.rotateStoreKey());
  wire.forge = () => undefined;
  expect(servers()).not.toEqual(former);
  await until(async () => (await looked()).join() === servers().join());
  await lone[Symbol.asyncDispose]();
  await net.close();
});
