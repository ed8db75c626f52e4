import { describe, expect, it } from 'vitest';
import { FencedStore } from '../../../src/boot/node/fenced-store.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { AgentWorld, base64 } from './agent-fixture.ts';

const requests = [
  ['GET', '/kv', undefined],
  ['PUT', '/kv/demo/a', { value: '' }],
  ['GET', '/rituals', undefined],
  ['PUT', '/rituals/1', { timestamp: 1, fragment: '' }],
  ['GET', '/epochs/dkg', undefined],
  ['PUT', '/secret-stores/dkg/1/seed', { seed: '' }],
] as const;

describe('a closed store', () => {
  it.each(requests)('%s %s is 503 NODE_LOCKED with the state', async (method, path, body) => {
    const world = new AgentWorld();
    world.store = undefined;
    expect(await world.send(method, path, body)).toMatchObject({
      status: 503,
      json: {
        code: 'NODE_LOCKED',
        observed: 'locked',
        detail: 'the node is locked (1 of 3): two servers are silent',
      },
    });
  });

  it('is reported before any other problem of a request', async () => {
    const world = new AgentWorld();
    world.store = undefined;
    expect((await world.send('PUT', '/kv/demo/a', '{')).json['code']).toBe('NODE_LOCKED');
  });

  it('does not affect status and openapi.json', async () => {
    const world = new AgentWorld();
    world.store = undefined;
    expect((await world.send('GET', '/status')).json).toEqual({ state: 'locked' });
    expect((await world.send('GET', '/openapi.json')).json).toMatchObject({ openapi: '3.1.0' });
  });

  it('replaces the opened services when another store opens', async () => {
    const world = new AgentWorld();
    await world.send('PUT', '/rituals/1', { timestamp: 1, fragment: base64('x') });
    world.store = new MemoryStore();
    expect((await world.send('GET', '/rituals/1')).json['code']).toBe('RITUAL_NOT_FOUND');
  });
});

describe('a fenced store', () => {
  it('answers reads and refuses writes', async () => {
    const fenced = new FencedStore(new MemoryStore(), true);
    const world = new AgentWorld(fenced);
    await world.send('PUT', '/kv/demo/a', { value: base64('x') });
    fenced.fence('boot 2 came later');
    expect((await world.send('GET', '/kv/demo/a')).json).toEqual({ value: base64('x') });
    for (const [method, path, body] of requests.filter(([name]) => name === 'PUT').slice(0, 2)) {
      expect(await world.send(method, path, body)).toMatchObject({
        status: 503,
        json: { code: 'NODE_FENCED' },
      });
    }
  });
});
