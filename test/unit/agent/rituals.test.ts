import { describe, expect, it } from 'vitest';
import { AgentWorld, base64 } from './agent-fixture.ts';

const store = (world: AgentWorld, id: number | string, timestamp: number, text: string) =>
  world.send('PUT', `/rituals/${id}`, { timestamp, fragment: base64(text) });

describe('rituals', () => {
  it('a ritual is stored, retrieved and revoked', async () => {
    const world = new AgentWorld();
    expect((await store(world, 7, 100, 'fragment')).json).toEqual({ written: true });
    expect((await store(world, 7, 200, 'fragment')).json).toEqual({ written: false });
    expect(await store(world, 7, 100, 'another')).toMatchObject({
      status: 409,
      json: { code: 'RITUAL_CONFLICT' },
    });
    expect((await world.send('GET', '/rituals/7')).json).toEqual({
      id: 7,
      timestamp: 100,
      fragment: base64('fragment'),
    });
    expect((await world.send('DELETE', '/rituals/7')).json).toEqual({ deleted: true });
    for (const method of ['GET', 'DELETE'])
      expect((await world.send(method, '/rituals/7')).json['code']).toBe('RITUAL_NOT_FOUND');
  });

  it('rituals are listed by time, by range, backwards, and by expiry', async () => {
    const world = new AgentWorld();
    for (const [id, timestamp] of [
      [1, 30],
      [2, 10],
      [3, 20],
    ] as const)
      await store(world, id, timestamp, `${id}`);
    const ids = async (path: string) => {
      const { rituals } = (await world.send('GET', path)).json as { rituals: { id: number }[] };
      return rituals.map(({ id }) => id);
    };
    expect(await ids('/rituals')).toEqual([2, 3, 1]);
    expect(await ids('/rituals?from=20')).toEqual([3, 1]);
    expect(await ids('/rituals?until=20')).toEqual([2, 3]);
    expect(await ids('/rituals?reverse=true&limit=1')).toEqual([1]);
    expect(await ids('/rituals/expired?cutoff=20')).toEqual([2, 3]);
    expect(await ids('/rituals/expired?cutoff=9')).toEqual([]);
  });

  it.each(['/rituals?', '/rituals?reverse=true&', '/rituals/expired?cutoff=5&'])(
    'pages cover many rituals with the same time: %s',
    async (path) => {
      const world = new AgentWorld();
      for (let id = 0; id < 7; id += 1) await store(world, id, id < 6 ? 5 : 4, `${id}`);
      const seen: number[] = [];
      for (let query: string | undefined = 'limit=2'; query !== undefined; ) {
        const { rituals, next } = (await world.send('GET', path + query)).json as {
          rituals: { id: number }[];
          next?: string;
        };
        seen.push(...rituals.map(({ id }) => id));
        query = next === undefined ? undefined : `limit=2&after=${encodeURIComponent(next)}`;
      }
      const order = [6, 0, 1, 2, 3, 4, 5];
      expect(seen).toEqual(path.includes('reverse') ? order.reverse() : order);
    },
  );

  it.each(['', '5', '5/', 'x/1', '5/1/2', '5/-1'])('after=%s is refused', async (after) => {
    expect((await new AgentWorld().send('GET', `/rituals?after=${after}`)).json['code']).toBe(
      'FIELD_INVALID',
    );
  });

  it.each(['-1', '1.5', '01', '9007199254740992', 'x', '1e3'])('ritual id %s is refused', async (id) => {
    const reply = await store(new AgentWorld(), id, 1, 'x');
    expect(reply).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID', field: 'id' } });
  });

  it.each([-1, 0.5, '1', null])('timestamp %j is refused', async (timestamp) => {
    const reply = await new AgentWorld().send('PUT', '/rituals/1', { timestamp, fragment: '' });
    expect(reply).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID', field: 'timestamp' } });
  });

  it('a list of expired rituals needs a cutoff', async () => {
    expect((await new AgentWorld().send('GET', '/rituals/expired')).json['code']).toBe('FIELD_INVALID');
  });
});
