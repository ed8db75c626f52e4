import { expect, it } from 'vitest';
import { rotationAnswer } from '../../../src/agent/rotation-routes.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { AgentWorld } from './agent-fixture.ts';

async function untilOver(world: AgentWorld) {
  for (;;) {
    const { json } = await world.send('GET', '/rotation');
    const standing = rotationAnswer.parse(json);
    if (standing.state !== 'running') return standing;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

it('repeated requests start one rotation, and the answer has its generation', async () => {
  const world = new AgentWorld();
  let finish: (generation: number) => void = () => undefined;
  let begun = 0;
  world.rotate = () => {
    begun++;
    return new Promise((resolve) => {
      finish = resolve;
    });
  };
  expect((await world.send('GET', '/rotation')).json).toEqual({ state: 'never' });
  for (let time = 0; time < 3; time++)
    expect((await world.send('PUT', '/rotation')).json).toEqual({ state: 'running' });
  finish(7);
  expect(await untilOver(world)).toEqual({ state: 'done', generation: 7 });
  expect(begun).toBe(1);
});

it('a failed rotation reports its code, and can be tried again', async () => {
  const world = new AgentWorld();
  world.rotate = () => Promise.reject(new ProblemError('ROTATION_INCOMPLETE', '4 of 5 servers gave a key'));
  await world.send('PUT', '/rotation');
  expect(await untilOver(world)).toMatchObject({ state: 'failed', code: 'ROTATION_INCOMPLETE' });
  world.rotate = async () => 3;
  await world.send('PUT', '/rotation');
  expect(await untilOver(world)).toEqual({ state: 'done', generation: 3 });
});

it.each(['GET', 'PUT'])('%s is 503 while the store is closed', async (method) => {
  const world = new AgentWorld();
  world.store = undefined;
  expect(await world.send(method, '/rotation')).toMatchObject({ status: 503, json: { code: 'NODE_LOCKED' } });
});
