import { expect, it } from 'vitest';
import { RefusalError } from '../../../src/errors/latchkey-error.ts';
import { AgentWorld } from './agent-fixture.ts';

const path = '/rollback/acceptance';

const heads = { incarnation: 7, sequence: 90, storeIncarnation: 6, storeSequence: 80 };

it('the store and the newer head are shown before anything is accepted, and again afterwards', async () => {
  const world = new AgentWorld();
  let isAccepted = false;
  world.rollback = {
    refused: () => heads,
    accept: () => {
      isAccepted = true;
      return heads;
    },
  };
  expect(await world.send('GET', path)).toMatchObject({ status: 200, json: heads });
  expect(isAccepted).toBe(false);
  expect(await world.send('PUT', path)).toMatchObject({ status: 200, json: heads });
  expect(isAccepted).toBe(true);
});

it('is 409 where nothing was refused, and 503 while the node cannot tell', async () => {
  const world = new AgentWorld();
  expect(await world.send('PUT', path)).toMatchObject({ status: 503, json: { code: 'NODE_LOCKED' } });
  const refuse = () => {
    throw new RefusalError('ROLLBACK_NOT_REFUSED', 'the node is backed');
  };
  world.rollback = { refused: refuse, accept: refuse };
  for (const method of ['GET', 'PUT'])
    expect(await world.send(method, path)).toMatchObject({
      status: 409,
      json: { code: 'ROLLBACK_NOT_REFUSED' },
    });
});
