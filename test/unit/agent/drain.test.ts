import { expect, it } from 'vitest';
import { drainAnswer } from '../../../src/agent/drain-routes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { clientAccount, ProtocolClient } from '../../support/protocol-client.ts';
import { AgentWorld } from './agent-fixture.ts';

async function worldWithClients(count: number): Promise<AgentWorld> {
  const server = keyServerWorld();
  for (let number = 0; number < count; number++) {
    const client = new ProtocolClient(server, clientAccount(number));
    const slot = await client.obtainLinked();
    const report = number === count - 1 ? { threshold: 3, slots: 5, live: 3 } : undefined;
    await client.keyStatus(slot, { confirm: true, report });
  }
  return new AgentWorld(new MemoryStore(), {}, server.vault);
}

it('three requests start, show and cancel a drain, and each may be repeated', async () => {
  const world = await worldWithClients(2);
  const [atRisk, other] = [1, 0].map((number) => encodeSs58(clientAccount(number)));
  const clients = [
    { accountId: atRisk, keys: 1, atRisk: true, standing: 'not told yet', canMove: true },
    { accountId: other, keys: 1, atRisk: false, standing: 'not told yet', canMove: true },
  ];
  const idle = { draining: false, remaining: 2, unmovable: 0, moved: 0, clients };
  expect((await world.send('GET', '/drain')).json).toEqual(idle);
  const begun = await world.send('PUT', '/drain');
  expect(begun.json).toEqual({ ...idle, draining: true, sinceMs: expect.any(Number) });
  expect((await world.send('PUT', '/drain')).json).toEqual(begun.json);
  expect((await world.send('GET', '/drain')).json).toEqual(begun.json);
  expect(drainAnswer.parse(begun.json)).toEqual(begun.json);
  for (let time = 0; time < 2; time++) {
    expect((await world.send('DELETE', '/drain')).json).toEqual(idle);
  }
});

it('the list of clients has at most a hundred entries, clients at risk first, and the count of all', async () => {
  const world = await worldWithClients(130);
  const { json } = await world.send('PUT', '/drain');
  const { remaining, clients } = drainAnswer.parse(json);
  expect([remaining, clients.length, clients[0]?.atRisk]).toEqual([130, 100, true]);
});

it.each(['GET', 'PUT', 'DELETE'])('%s is 503 while the node does not serve', async (method) => {
  const world = new AgentWorld();
  world.store = undefined;
  expect(await world.send(method, '/drain')).toMatchObject({ status: 503, json: { code: 'NODE_LOCKED' } });
  expect(world.drain.isDraining).toBe(false);
});
