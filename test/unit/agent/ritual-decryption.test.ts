import { beforeEach, describe, expect, it } from 'vitest';
import { AgentWorld, base64 } from './agent-fixture.ts';

const OWN = '0xAb5801a7D398351b8bE11C439e05C5B3259aeC9B';
const validators = ['0x01', OWN, '0x03'].map((address) => ({ address, publicKey: base64(address) }));
const ritual = {
  dkgSize: 3,
  threshold: 2,
  totalAggregations: 3,
  initTimestamp: 50,
  endTimestamp: 200,
  aggregatedTranscript: base64('transcript'),
  publicKey: base64('public'),
};

let world: AgentWorld;
beforeEach(async () => {
  world = await withRitual();
});

async function withRitual(options = {}): Promise<AgentWorld> {
  const made = new AgentWorld(undefined, options);
  made.nowMs = 100_000;
  await made.send('PUT', '/rituals/7/conditions', { authorized: true, paid: true, expiresAt: 150 });
  await made.send('PUT', '/rituals/7', { timestamp: 60, fragment: base64('share') });
  await made.send('PUT', '/rituals/7/active', ritual);
  await made.send('PUT', '/rituals/7/validators', { validators });
  return made;
}
const decrypt = (body: unknown = { validator: OWN }, id: number | string = 7) =>
  world.send('POST', `/rituals/${id}/decryption`, body);
const code = async (reply: ReturnType<typeof decrypt>) => {
  const { status, json } = await reply;
  expect(JSON.stringify(json)).not.toContain(base64('share'));
  return [status, json['code']];
};

describe('R13 threshold decryption through the agent', () => {
  it('R13 gives all that a share is made of', async () => {
    expect(await decrypt()).toMatchObject({
      status: 200,
      json: { id: 7, timestamp: 60, fragment: base64('share'), ritual, validators, position: 1 },
    });
  });

  it.each([
    ['not authorized', { authorized: false }, [403, 'RITUAL_UNAUTHORIZED']],
    ['not paid for', { paid: false }, [402, 'RITUAL_UNPAID']],
    ['expired', { expiresAt: 100 }, [410, 'RITUAL_EXPIRED']],
  ])('R13 %s: refused, also where the ritual is active', async (_name, conditions, expected) => {
    await world.send('PUT', '/rituals/7/conditions', conditions);
    expect(await code(decrypt())).toEqual(expected);
  });

  it('R13 where the node requires conditions, silence refuses', async () => {
    world = await withRitual({ requireConditions: true });
    expect((await decrypt()).status).toBe(200);
    await world.send('DELETE', '/rituals/7/conditions');
    expect(await code(decrypt())).toEqual([403, 'RITUAL_UNAUTHORIZED']);
  });

  it('R13 a ritual that is refused does not tell whether it is active or stored', async () => {
    await world.send('PUT', '/rituals/8/conditions', { paid: false });
    expect(await code(decrypt({ validator: OWN }, 8))).toEqual([402, 'RITUAL_UNPAID']);
  });

  it('R13 not active, or active no more: the fragment stays where it is', async () => {
    await world.send('DELETE', '/rituals/7/cache');
    expect(await code(decrypt())).toEqual([409, 'RITUAL_NOT_ACTIVE']);
  });

  it('R13 from the end of the ritual on there is no share of it', async () => {
    await world.send('DELETE', '/rituals/7/conditions');
    world.nowMs = 199_999;
    expect((await decrypt()).status).toBe(200);
    world.nowMs = 200_000;
    expect(await code(decrypt())).toEqual([410, 'RITUAL_EXPIRED']);
  });

  it('R13 a node that is none of the validators makes no share, also when only the case of letters differs', async () => {
    for (const validator of ['0x04', OWN.toLowerCase()])
      expect(await code(decrypt({ validator }))).toEqual([403, 'RITUAL_NOT_PARTICIPANT']);
    await world.send('PUT', '/rituals/7/validators', { validators: [] });
    expect(await code(decrypt())).toEqual([403, 'RITUAL_NOT_PARTICIPANT']);
  });

  it('R13 a revoked fragment is not given, however active its ritual is', async () => {
    await world.send('DELETE', '/rituals/7');
    expect(await code(decrypt())).toEqual([404, 'RITUAL_NOT_FOUND']);
  });

  it.each([
    ['no body', ''],
    ['no JSON', '{'],
    ['no validator', {}],
    ['an empty validator', { validator: '' }],
    ['a number', { validator: 1 }],
    ['a very long one', { validator: 'x'.repeat(1025) }],
    ['more than asked for', { validator: OWN, at: 0 }],
    ['a list', [OWN]],
  ])('bad input: %s', async (_name, body) => {
    expect((await code(decrypt(body)))[0]).toBe(400);
  });

  it('bad input: an id that is none, and a method that only looks', async () => {
    for (const id of ['-1', '1.0', '9007199254740992', 'x'])
      expect(await code(decrypt({ validator: OWN }, id))).toEqual([400, 'FIELD_INVALID']);
    const { status, headers } = await world.send('GET', '/rituals/7/decryption');
    expect([status, headers.get('allow')]).toEqual([405, 'POST']);
  });

  it('a locked node gives nothing', async () => {
    world.store = undefined;
    expect(await code(decrypt())).toEqual([503, 'NODE_LOCKED']);
  });
});
