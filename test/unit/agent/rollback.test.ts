import { expect, it } from 'vitest';
import { RefusalError } from '../../../src/errors/latchkey-error.ts';
import { AgentWorld } from './agent-fixture.ts';

const path = '/rollback/acceptance';

it('the answer names the head of which the loss is accepted', async () => {
  const world = new AgentWorld();
  world.rollback = { accept: () => ({ incarnation: 7, sequence: 90 }) };
  expect(await world.send('PUT', path)).toMatchObject({
    status: 200,
    json: { incarnation: 7, sequence: 90 },
  });
});

it('is 409 where nothing was refused, and 503 while the node cannot tell', async () => {
  const world = new AgentWorld();
  expect(await world.send('PUT', path)).toMatchObject({ status: 503, json: { code: 'NODE_LOCKED' } });
  world.rollback = {
    accept: () => {
      throw new RefusalError('ROLLBACK_NOT_REFUSED', 'the node is backed');
    },
  };
  expect(await world.send('PUT', path)).toMatchObject({
    status: 409,
    json: { code: 'ROLLBACK_NOT_REFUSED' },
  });
});
