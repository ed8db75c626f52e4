import { expect, it } from 'vitest';
import { askAgent } from '../../support/ask-agent.ts';
import { loneNode } from '../../support/lone-node.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

it('V13 metrics count requests about rituals by route and status, without their ids', async () => {
  const net = new SimulatedNetwork(882);
  await using lone = await loneNode(net.world);
  await lone.node.start();
  for (let waited = 0; lone.node.open === undefined && waited < 60_000; waited += 250)
    await net.world.clock.advance(250);
  const socketPath = lone.node.addresses.agent.slice('unix:'.length);
  expect((await askAgent(socketPath, 'GET', '/rituals'))?.json).toEqual({ rituals: [] });
  await askAgent(socketPath, 'GET', '/rituals?limit=none');
  await askAgent(socketPath, 'GET', '/rituals/771234');
  const text = await (await fetch(`${lone.node.addresses.metrics}/metrics`)).text();
  expect(text).toContain('latchkey_http_requests_total{route="/rituals",status="200"} 1');
  expect(text).toContain('latchkey_http_requests_total{route="/rituals",status="400"} 1');
  expect(text).toMatch(/latchkey_http_requests_total\{route="\/rituals\/:\w+",status="404"\} 1/);
  expect(text).not.toContain('771234');
  await net.close();
}, 60_000);
