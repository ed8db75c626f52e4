import { describe, expect, it } from 'vitest';
import { AgentWorld, base64 } from './agent-fixture.ts';

describe('percent encoding that is no UTF-8', () => {
  it('names no record: it would be the one whose name is that text', async () => {
    const world = new AgentWorld();
    await world.send('PUT', `/kv/demo/${encodeURIComponent('%ff')}`, { value: base64('mine') });
    for (const name of ['%ff', '%', '%4', '%c3%28', '%41%ff', '%ed%a0%80']) {
      for (const [method, body] of [['PUT', { value: base64('other') }], ['GET'], ['DELETE']] as const) {
        const reply = await world.send(method, `/kv/demo/${name}`, body);
        expect(reply, `${method} ${name}`).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID' } });
      }
    }
    expect((await world.send('GET', '/kv/demo')).json['names']).toEqual(['%ff']);
    expect((await world.send('GET', '/kv/demo/%25ff')).json).toEqual({ value: base64('mine') });
  });

  it('bounds no list', async () => {
    const world = new AgentWorld();
    await world.send('PUT', '/kv/demo/a', { value: base64('a') });
    for (const query of ['prefix=%ff', 'from=%', 'before=a%e4'])
      expect(await world.send('GET', `/kv/demo?${query}`)).toMatchObject({
        status: 400,
        json: { code: 'FIELD_INVALID' },
      });
    expect((await world.send('GET', '/kv/demo?prefix=%61&from=a+b')).json).toEqual({ names: [], size: 1 });
  });
});
