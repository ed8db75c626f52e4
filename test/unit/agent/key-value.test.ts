import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../support/memory-store.ts';
import { AgentWorld, base64 } from './agent-fixture.ts';

const put = (world: AgentWorld, name: string, text: string, headers = {}) =>
  world.send('PUT', `/kv/demo/${name}`, { value: base64(text) }, headers);

describe('values', () => {
  it('can be put, read, replaced and deleted', async () => {
    const world = new AgentWorld();
    expect(await put(world, 'a', 'one')).toMatchObject({ status: 200, json: { replaced: false } });
    expect((await world.send('GET', '/kv/demo/a')).json).toEqual({ value: base64('one') });
    expect((await put(world, 'a', 'two')).json).toEqual({ replaced: true });
    expect((await world.send('DELETE', '/kv/demo/a')).json).toEqual({ deleted: true });
    expect((await world.send('DELETE', '/kv/demo/a')).json).toEqual({ deleted: false });
    expect((await world.send('GET', '/kv/demo/a')).json['code']).toBe('STORE_NAME_MISSING');
  });

  it('names with slashes, spaces, percent signs and Unicode come back unchanged', async () => {
    const world = new AgentWorld();
    const names = ['a/b c', '100%', 'ключ', 'a?b#c', '%2F'];
    for (const name of names) await put(world, encodeURIComponent(name), name);
    for (const name of names) {
      const { json } = await world.send('GET', `/kv/demo/${encodeURIComponent(name)}`);
      expect(json).toEqual({ value: base64(name) });
    }
    const listed = (await world.send('GET', '/kv/demo')).json['names'];
    expect(new Set(listed as string[])).toEqual(new Set(names));
  });

  it('an empty value is a value', async () => {
    const world = new AgentWorld();
    await put(world, 'empty', '');
    expect((await world.send('GET', '/kv/demo/empty')).json).toEqual({ value: '' });
    expect((await put(world, 'empty', 'x', { 'if-none-match': '*' })).status).toBe(412);
  });

  it('a read request creates no namespace', async () => {
    const store = new MemoryStore();
    const world = new AgentWorld(store);
    for (const [method, path] of [
      ['GET', '/kv/new'],
      ['GET', '/kv/new/a'],
      ['DELETE', '/kv/new/a'],
    ] as const) {
      expect(await world.send(method, path)).toMatchObject({
        status: 404,
        json: { code: 'STORE_NAMESPACE_MISSING' },
      });
    }
    expect(store.writes).toBe(0);
  });

  it('namespaces of the node itself are out of reach', async () => {
    const store = new MemoryStore();
    await (await store.namespace('identity')).put('seed', new Uint8Array(32));
    const world = new AgentWorld(store);
    expect((await world.send('GET', '/kv')).json).toEqual({ namespaces: [] });
    expect((await world.send('GET', '/kv/identity/seed')).status).toBe(404);
    for (const name of ['..%2Fidentity', 'a%2Fb', '%00', 'x'.repeat(129)]) {
      const reply = await world.send('GET', `/kv/${name}/seed`);
      expect(reply.json['code']).toBe('FIELD_INVALID');
    }
  });
});

describe('compare and set', () => {
  it('If-Match writes only with the tag of the present value', async () => {
    const world = new AgentWorld();
    const first = await put(world, 'a', 'one', { 'if-none-match': '*' });
    const tag = first.headers.get('etag') ?? '';
    expect(tag).toMatch(/^"[0-9a-f]{64}"$/);
    expect((await world.send('GET', '/kv/demo/a')).headers.get('etag')).toBe(tag);
    expect((await put(world, 'a', 'two', { 'if-match': tag })).status).toBe(200);
    expect(await put(world, 'a', 'three', { 'if-match': tag })).toMatchObject({
      status: 412,
      json: { code: 'PRECONDITION_FAILED', expected: tag },
    });
    expect((await world.send('DELETE', '/kv/demo/a', undefined, { 'if-match': tag })).status).toBe(412);
    expect((await world.send('GET', '/kv/demo/a')).json).toEqual({ value: base64('two') });
    expect((await world.send('DELETE', '/kv/demo/a', undefined, { 'if-match': '*' })).json).toEqual({
      deleted: true,
    });
    expect((await put(world, 'a', 'x', { 'if-match': '*' })).status).toBe(412);
  });

  it('one of many writers that saw the same value wins', async () => {
    const world = new AgentWorld();
    const tag = (await put(world, 'a', 'start')).headers.get('etag') ?? '';
    const writers = Array.from({ length: 20 }, (_, index) =>
      put(world, 'a', `${index}`, { 'if-match': tag }),
    );
    const statuses = (await Promise.all(writers)).map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 412)]);
  });

  it.each([
    [{ 'if-match': 'abc' }],
    [{ 'if-match': 'W/"00"' }],
    [{ 'if-none-match': '"00"' }],
    [{ 'if-match': '*', 'if-none-match': '*' }],
  ])('an unknown condition is refused: %j', async (headers) => {
    const reply = await put(new AgentWorld(), 'a', 'x', headers);
    expect(reply).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID' } });
  });

  it('a condition is refused where it would be ignored', async () => {
    const reply = await new AgentWorld().send('GET', '/kv', undefined, { 'if-match': '*' });
    expect(reply.json['code']).toBe('FIELD_INVALID');
  });
});

describe('listing', () => {
  it('works by pages, prefixes and ranges, in both directions', async () => {
    const world = new AgentWorld();
    for (const name of ['a1', 'a2', 'a3', 'b1']) await put(world, name, name);
    const list = async (query: string) => (await world.send('GET', `/kv/demo?${query}`)).json;
    expect(await list('limit=2')).toEqual({ names: ['a1', 'a2'], size: 4, next: 'a3' });
    expect(await list('limit=2&from=a3')).toEqual({ names: ['a3', 'b1'], size: 4 });
    expect(await list('prefix=a&from=a2')).toEqual({ names: ['a2', 'a3'], size: 4 });
    expect(await list('before=a2')).toEqual({ names: ['a1'], size: 4 });
    expect(await list('reverse=true&limit=2')).toEqual({ names: ['b1', 'a3'], size: 4 });
    expect(await list('limit=0')).toEqual({ names: [], size: 4, next: 'a1' });
    expect((await world.send('GET', '/kv')).json).toEqual({ namespaces: ['demo'] });
  });

  it.each(['limit=-1', 'limit=x', 'limit=1001', 'limit=', 'reverse=1', 'colour=red', 'limit=1&limit=2'])(
    'refuses %s',
    async (query) => {
      const world = new AgentWorld();
      await put(world, 'a', 'x');
      expect(await world.send('GET', `/kv/demo?${query}`)).toMatchObject({
        status: 400,
        json: { code: 'FIELD_INVALID' },
      });
    },
  );
});

describe('namespaces and batches', () => {
  it('an erasable namespace is created, used and erased', async () => {
    const world = new AgentWorld();
    expect((await world.send('PUT', '/kv/demo', { erasable: true })).json).toEqual({ created: true });
    expect((await world.send('PUT', '/kv/demo', { erasable: true })).json).toEqual({ created: false });
    expect((await world.send('PUT', '/kv/demo', {})).json['code']).toBe('STORE_NAMESPACE_KIND');
    expect((await put(world, 'a', 'one')).status).toBe(200);
    expect((await world.send('GET', '/kv/demo/a')).json).toEqual({ value: base64('one') });
    expect((await world.send('DELETE', '/kv/demo')).json).toEqual({ erased: true });
    expect((await world.send('DELETE', '/kv/demo')).json).toEqual({ erased: false });
    expect((await world.send('GET', '/kv/demo/a')).status).toBe(404);
  });

  it('a batch is all or nothing', async () => {
    const world = new AgentWorld();
    await put(world, 'a', 'one');
    const record = { namespace: 'demo', name: 'a' };
    const swap = (expected: string) => ({
      operations: [
        { kind: 'expect', ...record, value: base64(expected) },
        { kind: 'expect', namespace: 'other', name: 'new', value: null },
        { kind: 'put', namespace: 'other', name: 'new', value: base64('moved') },
        { kind: 'delete', ...record },
      ],
    });
    expect(await world.send('POST', '/kv', swap('two'))).toMatchObject({
      status: 409,
      json: { code: 'STORE_CONFLICT' },
    });
    expect((await world.send('GET', '/kv/demo/a')).status).toBe(200);
    expect((await world.send('POST', '/kv', swap('one'))).json).toEqual({ operations: 4 });
    expect((await world.send('GET', '/kv/demo/a')).status).toBe(404);
    expect((await world.send('GET', '/kv/other/new')).json).toEqual({ value: base64('moved') });
  });
});

describe('bad input', () => {
  it.each([
    ['not JSON', '{', 'BODY_NOT_JSON'],
    ['no value', {}, 'FIELD_INVALID'],
    ['unknown field', { value: '', more: 1 }, 'FIELD_INVALID'],
    ['base64 without padding', { value: 'YQ' }, 'FIELD_INVALID'],
    ['URL alphabet', { value: '__8=' }, 'FIELD_INVALID'],
    ['trailing bits', { value: 'YR==' }, 'FIELD_INVALID'],
    ['a number', { value: 1 }, 'FIELD_INVALID'],
  ])('%s', async (_what, body, code) => {
    const store = new MemoryStore();
    const reply = await new AgentWorld(store).send('PUT', '/kv/demo/a', body);
    expect(reply).toMatchObject({ status: 400, json: { code } });
    expect(store.writes).toBe(0);
  });

  it('another media type is 415, another method 405, another path 404', async () => {
    const world = new AgentWorld();
    const text = await world.send('PUT', '/kv/demo/a', '{}', { 'content-type': 'text/plain' });
    expect(text.json['code']).toBe('UNSUPPORTED_MEDIA_TYPE');
    expect((await world.send('PATCH', '/kv/demo/a')).json['code']).toBe('METHOD_NOT_ALLOWED');
    expect((await world.send('GET', '/kv/demo/a/b')).json['code']).toBe('ROUTE_NOT_FOUND');
  });
});
