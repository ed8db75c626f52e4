import { beforeEach, describe, expect, it } from 'vitest';
import { AgentWorld, base64 } from './agent-fixture.ts';

let world: AgentWorld;
beforeEach(() => {
  world = new AgentWorld();
});
const get = async (path: string) => (await world.send('GET', path)).json;
const fragment = { timestamp: 1, fragment: base64('f') };
const active = {
  dkgSize: 4,
  threshold: 3,
  totalAggregations: 4,
  initTimestamp: 1,
  endTimestamp: 2,
  aggregatedTranscript: base64('t'),
  publicKey: base64('k'),
};

describe('R9 the cache of ritual state, through the agent', () => {
  it('R9 a phase transaction is kept, replaced, and cleared only if it is still the given one', async () => {
    const at = '/rituals/7/phases/1';
    expect((await get(at))['code']).toBe('RITUAL_ENTRY_NOT_FOUND');
    await world.send('PUT', at, { transaction: base64('a') });
    await world.send('PUT', at, { transaction: base64('b') });
    const clear = async (text: string) =>
      (await world.send('POST', `${at}/clear`, { transaction: base64(text) })).json;
    expect(await clear('a')).toEqual({ cleared: false });
    expect(await get(at)).toEqual({ transaction: base64('b') });
    expect((await get('/rituals/7/phases/2'))['code']).toBe('RITUAL_ENTRY_NOT_FOUND');
    expect(await clear('b')).toEqual({ cleared: true });
    expect(await clear('b')).toEqual({ cleared: false });
    expect((await get('/rituals/7/phases/3'))['code']).toBe('FIELD_INVALID');
  });

  it('R9 validators keep their order; an empty list is the same as no list', async () => {
    const at = '/rituals/7/validators';
    const validators = ['b', 'a'].map((address) => ({ address, publicKey: base64(address) }));
    expect((await world.send('PUT', at, { validators })).json).toEqual({ kept: true });
    expect(await get(at)).toEqual({ validators });
    await world.send('PUT', at, { validators: [] });
    expect((await get(at))['code']).toBe('RITUAL_ENTRY_NOT_FOUND');
    expect((await world.send('PUT', at, { validators: [{ address: 'a' }] })).status).toBe(400);
  });

  it('R9 only active rituals are kept', async () => {
    const at = '/rituals/7/active';
    const early = await world.send('PUT', at, { ...active, totalAggregations: 3 });
    expect(early).toMatchObject({ status: 409, json: { code: 'RITUAL_NOT_ACTIVE' } });
    expect((await get(at))['code']).toBe('RITUAL_ENTRY_NOT_FOUND');
    await world.send('PUT', at, active);
    expect(await get(at)).toEqual(active);
  });

  it('R9 clearing forgets all but the fragment', async () => {
    await world.send('PUT', '/rituals/7', fragment);
    await world.send('PUT', '/rituals/7/phases/2', { transaction: base64('a') });
    await world.send('PUT', '/rituals/7/active', active);
    expect((await world.send('DELETE', '/rituals/7/cache')).json).toEqual({ cleared: true });
    expect((await get('/rituals/7/phases/2'))['code']).toBe('RITUAL_ENTRY_NOT_FOUND');
    expect((await get('/rituals/7/active'))['code']).toBe('RITUAL_ENTRY_NOT_FOUND');
    expect(await get('/rituals/7')).toMatchObject({ fragment: base64('f') });
  });

  it('R9 the cursor of the event scanner is kept', async () => {
    expect(await get('/rituals/scanner-cursor')).toEqual({});
    await world.send('PUT', '/rituals/scanner-cursor', { block: 12 });
    expect(await get('/rituals/scanner-cursor')).toEqual({ block: 12 });
  });
});

describe('R10 conditions as stored data, through the agent', () => {
  const conditions = (value: unknown) => world.send('PUT', '/rituals/7/conditions', value);
  const outcomes = async () => {
    const replies = [
      await world.send('PUT', '/rituals/7', fragment),
      await world.send('GET', '/rituals/7'),
      await world.send('PUT', '/rituals/7/phases/1', { transaction: base64('a') }),
      await world.send('DELETE', '/rituals/7'),
    ];
    return replies.map(({ status }) => status);
  };

  it.each([
    ['no conditions', undefined, [200, 200, 200, 200]],
    ['all hold', { authorized: true, paid: true, expiresAt: 101 }, [200, 200, 200, 200]],
    ['empty', {}, [200, 200, 200, 200]],
    ['not authorized', { authorized: false }, [403, 403, 403, 403]],
    ['not paid for', { paid: false }, [402, 402, 200, 404]],
    ['expired', { expiresAt: 100 }, [410, 410, 200, 404]],
    ['all at once', { authorized: false, paid: false, expiresAt: 1 }, [403, 403, 403, 403]],
  ])('R10 %s', async (_name, given, expected) => {
    world.nowMs = 100_999;
    if (given !== undefined) await conditions(given);
    expect(await outcomes()).toEqual(expected);
  });

  it.each([
    ['no conditions', undefined, [403, 403, 403, 403]],
    ['empty', {}, [403, 403, 403, 403]],
    ['authorized and nothing else', { authorized: true }, [410, 410, 200, 404]],
    ['payment is not stated', { authorized: true, expiresAt: 101 }, [402, 402, 200, 404]],
    ['all stated and met', { authorized: true, paid: true, expiresAt: 101 }, [200, 200, 200, 200]],
  ])('R10 where the node requires conditions: %s', async (_name, given, expected) => {
    world = new AgentWorld(undefined, { requireConditions: true });
    world.nowMs = 100_999;
    if (given !== undefined) await conditions(given);
    expect(await outcomes()).toEqual(expected);
  });

  it('R10 an unpaid or expired ritual can still be erased', async () => {
    await world.send('PUT', '/rituals/7', fragment);
    await conditions({ paid: false, expiresAt: 0 });
    expect((await get('/rituals/7'))['code']).toBe('RITUAL_EXPIRED');
    expect((await world.send('DELETE', '/rituals/7')).json).toEqual({ deleted: true });
  });

  it('R10 conditions are read, replaced and removed, and concern one ritual', async () => {
    await conditions({ paid: false });
    await conditions({ authorized: false });
    expect(await get('/rituals/7/conditions')).toEqual({ authorized: false });
    expect((await get('/rituals/8/conditions'))['code']).toBe('RITUAL_ENTRY_NOT_FOUND');
    expect((await world.send('PUT', '/rituals/8', fragment)).status).toBe(200);
    expect((await world.send('DELETE', '/rituals/7/conditions')).json).toEqual({ deleted: true });
    expect((await world.send('DELETE', '/rituals/7/conditions')).json).toEqual({ deleted: false });
    expect((await world.send('PUT', '/rituals/7', fragment)).status).toBe(200);
    for (const wrong of [{ paid: 1 }, { expiresAt: -1 }, { other: true }])
      expect((await conditions(wrong)).json['code']).toBe('FIELD_INVALID');
  });

  it('R10 conditions survive a restart of the services', async () => {
    await conditions({ authorized: false });
    const again = new AgentWorld(world.store);
    expect((await again.send('GET', '/rituals/7')).json['code']).toBe('RITUAL_UNAUTHORIZED');
  });
});
