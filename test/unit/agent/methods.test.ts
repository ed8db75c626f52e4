import { describe, expect, it } from 'vitest';
import { AgentWorld, base64 } from './agent-fixture.ts';

describe('a path that a parameter of another path matches too', () => {
  const hidden = [
    ['/rituals/backup', ['POST'], 'POST'],
    ['/rituals/expired', ['GET', 'HEAD'], 'GET, HEAD'],
    ['/rituals/scanner-cursor', ['PUT', 'GET', 'HEAD'], 'PUT, GET, HEAD'],
  ] as const;
  const methods = ['GET', 'PUT', 'POST', 'DELETE', 'PATCH'];
  const wrong = hidden.flatMap(([path, right, allow]) =>
    methods
      .filter((method) => !right.some((name) => name === method))
      .map((method) => ({ method, path, allow })),
  );

  it.each(wrong)(
    '$method $path is 405 with $allow, and no bad id of a ritual',
    async ({ method, path, allow }) => {
      const world = new AgentWorld();
      for (const body of [undefined, { timestamp: 1, fragment: base64('f') }]) {
        const given = method === 'GET' ? undefined : body;
        const { status, json, headers } = await world.send(method, path, given);
        expect([status, json['code'], headers.get('allow')]).toEqual([405, 'METHOD_NOT_ALLOWED', allow]);
        expect(headers.get('x-request-id')).toBeTruthy();
      }
    },
  );

  it('answers its own methods, and so do the paths with parameters', async () => {
    const world = new AgentWorld();
    expect((await world.send('GET', '/rituals/expired?cutoff=1')).status).toBe(200);
    expect((await world.send('PUT', '/rituals/scanner-cursor', { block: 1 })).status).toBe(200);
    expect((await world.send('GET', '/rituals/scanner-cursor')).json).toEqual({ block: 1 });
    expect(
      (await world.app.request('http://localhost/rituals/scanner-cursor', { method: 'HEAD' })).status,
    ).toBe(200);
    expect((await world.send('PUT', '/rituals/7', { timestamp: 1, fragment: base64('f') })).status).toBe(200);
    expect((await world.send('GET', '/rituals/7')).status).toBe(200);
    expect(await world.send('POST', '/rituals/7')).toMatchObject({ status: 405 });
    expect((await world.send('GET', '/rituals/back-up')).json['code']).toBe('FIELD_INVALID');
  });

  it('names of records are free: /kv/{namespace}/{name} hides nothing', async () => {
    const world = new AgentWorld();
    expect((await world.send('PUT', '/kv/rituals/backup', { value: '' })).status).toBe(200);
    expect((await world.send('GET', '/kv/rituals/backup')).status).toBe(200);
  });
});

it('no path of the agent takes a method of another path', async () => {
  const world = new AgentWorld();
  const { paths } = (await world.send('GET', '/openapi.json')).json as {
    paths: Record<string, Record<string, unknown>>;
  };
  for (const [path, operations] of Object.entries(paths)) {
    const method = ['PATCH', 'DELETE', 'POST', 'PUT', 'GET'].find(
      (name) => !(name.toLowerCase() in operations),
    );
    const { status, headers } = await world.send(method ?? 'PATCH', path.replaceAll(/\{\w+\}/g, '1'));
    expect([method, path, status]).toEqual([method, path, 405]);
    expect(
      headers
        .get('allow')
        ?.toLowerCase()
        .split(', ')
        .filter((name) => name !== 'head')
        .sort(),
    ).toEqual(Object.keys(operations).sort());
  }
});
