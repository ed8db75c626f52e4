import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../support/memory-store.ts';
import { AgentWorld, base64 } from './agent-fixture.ts';

const seed = Buffer.alloc(32, 1).toString('base64');
const otherSeed = Buffer.alloc(32, 2).toString('base64');
const share = { index: 3, scalar: Buffer.alloc(32, 5).toString('base64') };
const dealer = `0x${'aa'.repeat(32)}`;
const player = `0x${'bb'.repeat(32)}`;

it('no secret of a request stays in memory after the answer', async () => {
  const given: Uint8Array[] = [];
  const store = new MemoryStore({
    beforeWrite: (operations) => {
      for (const operation of operations)
        if (operation.kind === 'put' && /\/secrets\/\d/.test(operation.namespace))
          given.push(operation.value);
    },
  });
  const world = new AgentWorld(store);
  await world.send('PUT', '/epochs/dkg/1', { round: 1, rngSeed: seed, share });
  await world.send('PUT', `/epochs/dkg/1/dealings/${dealer}`, { publicMessage: '', privateMessage: seed });
  await world.send('PUT', '/secret-stores/own/1/share', share);
  await world.send('PUT', '/secret-stores/own/1/seed', { seed });
  await world.send('PUT', '/secret-stores/own/1/seed', { seed: otherSeed });
  await world.send('PUT', `/secret-stores/own/1/dealings/${dealer}`, { dealing: seed });
  expect(given.map(({ length }) => length)).toEqual([33, 32, 64, 33, 32, 32, 32]);
  expect(given.filter((bytes) => bytes.some((byte) => byte !== 0))).toEqual([]);
  expect((await world.send('GET', '/secret-stores/own/1/seed')).json).toEqual({ seed });
});

describe('epoch journal', () => {
  it('commits epochs, stores messages and returns the contents of an epoch', async () => {
    const world = new AgentWorld();
    const state = { round: 4, rngSeed: seed, output: base64('public'), share };
    expect((await world.send('PUT', '/epochs/dkg/5', state)).json).toEqual({ written: true });
    expect((await world.send('PUT', '/epochs/dkg/5', state)).json).toEqual({ written: false });
    const dealing = { publicMessage: base64('commitment'), privateMessage: base64('share') };
    const at = `/epochs/dkg/5/dealings/${dealer}`;
    expect((await world.send('PUT', at, dealing)).json).toEqual({ written: true });
    expect((await world.send('PUT', at, { ...dealing, publicMessage: '' })).json).toEqual({ written: false });
    expect((await world.send('GET', at)).json).toEqual(dealing);
    for (const [kind, who] of [
      ['acks', player],
      ['logs', dealer],
      ['evidence', dealer],
    ]) {
      const path = `/epochs/dkg/5/${kind}/${who}`;
      expect((await world.send('PUT', path, { message: base64(`${kind}`) })).json).toEqual({ written: true });
      expect((await world.send('PUT', path, { message: '' })).json).toEqual({ written: false });
    }
    expect((await world.send('GET', '/epochs/dkg/5')).json).toEqual({
      dealings: [{ participant: dealer, message: base64('commitment') }],
      acks: [{ participant: player, message: base64('acks') }],
      logs: [{ participant: dealer, message: base64('logs') }],
      evidence: [{ participant: dealer, message: base64('evidence') }],
    });
    expect((await world.send('GET', '/epochs/dkg')).json).toEqual({
      current: { number: 5, round: 4, output: base64('public') },
      committed: [5],
      withMessages: [5],
      prunedBelow: 0,
    });
    expect((await world.send('GET', '/epochs/dkg/5/secrets')).json).toEqual({ share, rngSeed: seed });
  });

  it('another process on the same store finds everything again', async () => {
    const store = new MemoryStore();
    await new AgentWorld(store).send('PUT', '/epochs/dkg/1', { round: 1, rngSeed: seed, share });
    const restarted = new AgentWorld(store);
    expect((await restarted.send('GET', '/epochs/dkg/1/secrets')).json).toEqual({ share, rngSeed: seed });
  });

  it('concurrent requests share one journal: the first write wins', async () => {
    const world = new AgentWorld();
    const replies = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        world.send('PUT', `/epochs/dkg/1/logs/${dealer}`, { message: base64(`${index}`) }),
      ),
    );
    expect(replies.filter(({ json }) => json['written'] === true)).toHaveLength(1);
  });

  it('prunes epochs below a number, and never the current epoch', async () => {
    const world = new AgentWorld();
    for (const epoch of [1, 2]) await world.send('PUT', `/epochs/dkg/${epoch}`, { round: 0, rngSeed: seed });
    expect((await world.send('POST', '/epochs/dkg/prune', { min: 3 })).json['code']).toBe('EPOCH_IS_CURRENT');
    expect((await world.send('POST', '/epochs/dkg/prune', { min: 2 })).json).toEqual({ prunedBelow: 2 });
    expect(
      await world.send('PUT', `/epochs/dkg/1/acks/${player}`, { message: base64('late') }),
    ).toMatchObject({ status: 410, json: { code: 'EPOCH_PRUNED' } });
    expect((await world.send('GET', '/epochs/dkg/1/secrets')).json).toEqual({});
  });

  it('a read request creates no journal', async () => {
    const store = new MemoryStore();
    const world = new AgentWorld(store);
    for (const path of ['', '/1', '/1/secrets', `/1/dealings/${dealer}`])
      expect((await world.send('GET', `/epochs/dkg${path}`)).json['code']).toBe('EPOCH_JOURNAL_NOT_FOUND');
    expect(store.writes).toBe(0);
  });

  it('a missing dealing is 404', async () => {
    const world = new AgentWorld();
    await world.send('PUT', '/epochs/dkg/1', { round: 0, rngSeed: seed });
    const reply = await world.send('GET', `/epochs/dkg/1/dealings/${dealer}`);
    expect(reply.json['code']).toBe('EPOCH_ENTRY_NOT_FOUND');
  });

  it.each([
    ['journal', '/epochs/DKG/1', { round: 0, rngSeed: seed }],
    ['journal', '/epochs/secret-store-x/1', { round: 0, rngSeed: seed }],
    ['epoch', '/epochs/dkg/-1', { round: 0, rngSeed: seed }],
    ['rngSeed', '/epochs/dkg/1', { round: 0, rngSeed: base64('short') }],
    ['share.scalar', '/epochs/dkg/1', { round: 0, rngSeed: seed, share: { index: 1, scalar: '' } }],
    ['share.index', '/epochs/dkg/1', { round: 0, rngSeed: seed, share: { ...share, index: 0 } }],
    ['dealer', '/epochs/dkg/1/logs/0xaa', { message: '' }],
  ])('a wrong %s at %s is refused, and the error does not contain its value', async (field, path, body) => {
    const world = new AgentWorld();
    const reply = await world.send('PUT', path, body);
    expect(reply).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID', field } });
    expect(JSON.stringify(reply.json)).not.toContain(seed);
    expect(world.logged.join()).not.toContain(seed);
  });
});

describe('secret stores', () => {
  it('the seven methods work', async () => {
    const world = new AgentWorld();
    const at = '/secret-stores/dkg/1';
    expect((await world.send('PUT', `${at}/share`, share)).json).toEqual({ kept: true });
    expect((await world.send('PUT', `${at}/share`, share)).json).toEqual({ kept: true });
    expect((await world.send('PUT', `${at}/seed`, { seed })).json).toEqual({ kept: true });
    expect((await world.send('PUT', `${at}/seed`, { seed: otherSeed })).json['code']).toBe(
      'EPOCH_SECRET_CONFLICT',
    );
    for (const text of ['first', 'second'])
      await world.send('PUT', `${at}/dealings/${dealer}`, { dealing: base64(text) });
    expect((await world.send('GET', `${at}/share`)).json).toEqual(share);
    expect((await world.send('GET', `${at}/seed`)).json).toEqual({ seed });
    expect((await world.send('GET', `${at}/dealings/${dealer}`)).json).toEqual({ dealing: base64('second') });
    for (let turn = 0; turn < 2; turn++)
      expect((await world.send('POST', '/secret-stores/dkg/prune', { min: 2 })).json).toEqual({
        pruned: true,
      });
    for (const what of ['share', 'seed', `dealings/${dealer}`])
      expect((await world.send('GET', `${at}/${what}`)).json['code']).toBe('EPOCH_ENTRY_NOT_FOUND');
    expect((await world.send('PUT', `${at}/seed`, { seed })).json['code']).toBe('EPOCH_PRUNED');
  });

  it('is separate from the journal of the same name', async () => {
    const world = new AgentWorld();
    const dealing = { publicMessage: base64('public'), privateMessage: base64('private') };
    await world.send('PUT', `/epochs/dkg/1/dealings/${dealer}`, dealing);
    await world.send('PUT', `/secret-stores/dkg/1/dealings/${dealer}`, { dealing: base64('else') });
    expect((await world.send('GET', `/epochs/dkg/1/dealings/${dealer}`)).json).toEqual(dealing);
  });

  it('a read request creates no secret store', async () => {
    const store = new MemoryStore();
    const world = new AgentWorld(store);
    for (const what of ['share', 'seed', `dealings/${dealer}`])
      expect((await world.send('GET', `/secret-stores/dkg/1/${what}`)).status).toBe(404);
    expect(store.writes).toBe(0);
  });
});
