import { describe, expect, it } from 'vitest';
import { FencedStore } from '../../../src/boot/node/fenced-store.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { Vault } from '../../../src/keyserver/vault.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { unknownAccounts } from '../../support/server-memory.ts';
import { AgentWorld, base64 } from './agent-fixture.ts';

const ENCRYPT = '/v1/transit/encrypt/unseal';
const DECRYPT = '/v1/transit/decrypt/unseal';
const MOST = 1024 * 1024;

/** A request as the client library of Vault and OpenBao makes it: PUT, JSON, and no Content-Type. */
async function asVault(
  world: AgentWorld,
  path: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
) {
  const response = await world.app.request(`http://localhost${path}`, {
    method: 'PUT',
    // Bytes, because fetch adds a type to a text.
    body: new TextEncoder().encode(body),
    headers: { 'x-vault-request': 'true', ...headers },
  });
  // The agent answers JSON objects only.
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

const ciphertextOf = (json: Readonly<Record<string, unknown>>): string =>
  (json as { data: { ciphertext: string } }).data.ciphertext;

describe('the requests of seal "transit"', () => {
  it('are answered as the seal reads them: PUT without a Content-Type, any token or none', async () => {
    const world = new AgentWorld();
    const plaintext = base64('root key');
    const encrypted = await asVault(world, ENCRYPT, JSON.stringify({ plaintext }), { 'x-vault-token': 't' });
    expect(encrypted).toMatchObject({ status: 200, json: { data: { key_version: 1 } } });
    const ciphertext = ciphertextOf(encrypted.json);
    // The seal takes the middle one of three parts for the id of the key.
    expect(ciphertext.split(':')).toHaveLength(3);
    expect(await asVault(world, DECRYPT, JSON.stringify({ ciphertext }))).toEqual({
      status: 200,
      json: { data: { plaintext } },
    });
  });

  it('are answered also as POST with a Content-Type, with associated data', async () => {
    const world = new AgentWorld();
    const given = { associated_data: base64('disk 1') };
    const { json } = await world.send('POST', ENCRYPT, { plaintext: base64('x'), ...given });
    const ciphertext = ciphertextOf(json);
    expect((await world.send('POST', DECRYPT, { ciphertext, ...given })).json).toEqual({
      data: { plaintext: base64('x') },
    });
    expect(await world.send('POST', DECRYPT, { ciphertext })).toMatchObject({
      status: 400,
      json: { code: 'TRANSIT_CIPHERTEXT_INVALID' },
    });
  });

  it('renewal of a token is refused for good, so that the seal goes on without it', async () => {
    const reply = await asVault(new AgentWorld(), '/v1/auth/token/renew-self', '{"increment":0}');
    // A status from 500 up or 429 would be tried again.
    expect(reply).toMatchObject({
      status: 404,
      json: { code: 'ROUTE_NOT_FOUND', errors: [expect.stringContaining('ROUTE_NOT_FOUND')] },
    });
  });

  it('rotation adds a version, and older ciphertexts still open', async () => {
    const world = new AgentWorld();
    const { json } = await world.send('PUT', ENCRYPT, { plaintext: base64('x') });
    expect((await world.send('POST', '/v1/transit/keys/unseal/rotate')).json).toEqual({
      data: { name: 'unseal', latest_version: 2 },
    });
    expect((await world.send('PUT', '/v1/transit/keys/unseal/rotate')).json).toMatchObject({
      data: { latest_version: 3 },
    });
    expect((await world.send('PUT', ENCRYPT, { plaintext: base64('x') })).json).toMatchObject({
      data: { key_version: 3 },
    });
    expect((await world.send('PUT', DECRYPT, { ciphertext: ciphertextOf(json) })).status).toBe(200);
    expect(await world.send('POST', '/v1/transit/keys/other/rotate')).toMatchObject({
      status: 404,
      json: { code: 'TRANSIT_KEY_NOT_FOUND' },
    });
  });
});

describe('refusals', () => {
  it('carry `errors`, the only member that the clients show', async () => {
    const world = new AgentWorld();
    const { json } = await asVault(world, DECRYPT, '{"ciphertext":"vault:v1:AAAA"}');
    expect(json['errors']).toEqual([
      `TRANSIT_CIPHERTEXT_INVALID: ${String(json['detail'])}; ${String(json['hint'])}`,
    ]);
    expect((await world.send('GET', '/kv/none')).json['errors']).toBeUndefined();
  });

  it.each([
    ['context', { context: base64('tenant') }],
    ['nonce', { nonce: base64('x') }],
    ['batch_input', { batch_input: [] }],
    ['key_version', { key_version: 1 }],
  ])('of a field that is not known name it: %s', async (name, extra) => {
    const world = new AgentWorld();
    const reply = await world.send('PUT', ENCRYPT, { plaintext: base64('x'), ...extra });
    expect(reply).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID' } });
    expect(reply.json['detail']).toContain(name);
  });

  it('of a namespace name the header: there is no separation by it', async () => {
    const body = JSON.stringify({ plaintext: '' });
    expect(await asVault(new AgentWorld(), ENCRYPT, body, { 'x-vault-namespace': 'team' })).toMatchObject({
      status: 400,
      json: { code: 'FIELD_INVALID', field: 'x-vault-namespace', errors: [expect.any(String)] },
    });
    expect((await asVault(new AgentWorld(), ENCRYPT, body, { 'x-vault-namespace': '' })).status).toBe(200);
  });

  it('hold for another Content-Type, and on other routes for none', async () => {
    const world = new AgentWorld();
    expect(await asVault(world, ENCRYPT, '{}', { 'content-type': 'text/plain' })).toMatchObject({
      status: 415,
      json: { code: 'UNSUPPORTED_MEDIA_TYPE' },
    });
    expect((await asVault(world, '/kv/demo/a', '{"value":""}')).status).toBe(415);
  });

  it.each([
    ['a plaintext over a mebibyte', ENCRYPT, { plaintext: Buffer.alloc(MOST + 1).toString('base64') }],
    [
      'associated data over 64 KiB',
      ENCRYPT,
      { plaintext: '', associated_data: Buffer.alloc(64 * 1024 + 1).toString('base64') },
    ],
    ['a ciphertext that no plaintext makes', DECRYPT, { ciphertext: `vault:v1:${'A'.repeat(2 * MOST)}` }],
    ['text that is not base64', ENCRYPT, { plaintext: 'x' }],
    ['base64 that is not canonical', ENCRYPT, { plaintext: 'AB==' }],
    ['no plaintext', ENCRYPT, {}],
    ['a number', DECRYPT, { ciphertext: 1 }],
    ['a name with a slash', '/v1/transit/encrypt/a%2Fb', { plaintext: '' }],
    ['a name that begins with a point', '/v1/transit/encrypt/.a', { plaintext: '' }],
    ['a name with a zero byte', '/v1/transit/encrypt/a%00', { plaintext: '' }],
    ['a name of 65', `/v1/transit/encrypt/${'a'.repeat(65)}`, { plaintext: '' }],
  ])('hold for %s, and nothing is written', async (_what, path, body) => {
    const store = new MemoryStore();
    expect(await new AgentWorld(store).send('PUT', path, body)).toMatchObject({
      status: 400,
      json: { code: 'FIELD_INVALID' },
    });
    expect(store.writes).toBe(0);
  });

  it('the largest plaintext comes back', async () => {
    const world = new AgentWorld();
    const plaintext = Buffer.alloc(MOST, 5).toString('base64');
    const { json } = await world.send('PUT', ENCRYPT, { plaintext });
    expect((await world.send('PUT', DECRYPT, { ciphertext: ciphertextOf(json) })).json).toEqual({
      data: { plaintext },
    });
  });

  it('of a locked and of a fenced node have their own codes, which the clients try again', async () => {
    const fenced = new FencedStore(new MemoryStore(), true);
    const world = new AgentWorld(fenced);
    fenced.fence('boot 2 came later');
    expect(await world.send('PUT', ENCRYPT, { plaintext: '' })).toMatchObject({
      status: 503,
      json: { code: 'NODE_FENCED', errors: [expect.stringContaining('boot 2 came later')] },
    });
    world.store = undefined;
    expect(await world.send('PUT', DECRYPT, { ciphertext: '' })).toMatchObject({
      status: 503,
      json: { code: 'NODE_LOCKED', errors: [expect.stringContaining('two servers are silent')] },
    });
  });

  it('nothing of a plaintext or a key is logged', async () => {
    const world = new AgentWorld();
    await world.send('PUT', ENCRYPT, { plaintext: base64('a secret value'), context: base64('tenant') });
    await world.send('PUT', ENCRYPT, { plaintext: base64('a secret value') });
    expect(world.logged.join('')).not.toContain(base64('a secret value').slice(0, 12));
  });

  it('keys cannot be read as records of a program', async () => {
    const world = new AgentWorld();
    await world.send('PUT', ENCRYPT, { plaintext: '' });
    expect((await world.send('GET', '/kv')).json).toEqual({ namespaces: [] });
    expect((await world.send('GET', '/kv/latchkey%2Ftransit-keys/unseal%2F000001')).json['code']).toBe(
      'FIELD_INVALID',
    );
  });

  it('without `agent.transit` there are no routes', async () => {
    const vault = new Vault(systemRandom, unknownAccounts);
    const world = new AgentWorld(new MemoryStore(), {}, vault, false);
    const response = await world.app.request(`http://localhost${ENCRYPT}`, { method: 'PUT' });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
  });
});
