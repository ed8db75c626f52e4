import { afterEach, beforeEach, expect, it } from 'vitest';
import { loneNode } from '../../support/lone-node.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

const HOUR_MS = 3_600_000;
const hang = (): Promise<never> => new Promise(() => undefined);

let net: SimulatedNetwork;
beforeEach(() => {
  net = new SimulatedNetwork(881);
});
afterEach(async () => {
  await net.close();
});

it('a machine that never gives its quote makes the main loop overdue', { timeout: 60_000 }, async () => {
  await using lone = await loneNode(net.world, { beforeQuote: hang });
  await lone.node.start();
  await net.world.clock.advance(60_000);
  expect(lone.parts.mainLoop.overdueMs).toBe(0);
  await net.world.clock.advance(HOUR_MS);
  expect(lone.parts.mainLoop.overdueMs).toBeGreaterThan(0);
});

it('a turn of healing that never ends does, and a node that only waits for others does not', {
  timeout: 120_000,
}, async () => {
  await using lone = await loneNode(net.world);
  await lone.node.start();
  for (let waited = 0; lone.node.keyServer === undefined && waited < 400; waited++)
    await net.world.clock.advance(250);
  expect(lone.node.keyServer).toBeDefined();
  await net.world.clock.advance(HOUR_MS);
  expect(lone.parts.mainLoop.overdueMs).toBe(0);
  Object.assign(lone.parts.chain, { snapshot: hang });
  await net.world.clock.advance(HOUR_MS);
  expect(lone.parts.mainLoop.overdueMs).toBeGreaterThan(0);
});
