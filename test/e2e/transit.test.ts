import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentAnswer, agentUntil, askAgent } from '../support/ask-agent.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

const TOKEN = { 'x-vault-token': 'not-used' };
const isReady = ({ json: status }: AgentAnswer) => status['ready'] === true;

/**
 * A request as the client library sends it that `seal "transit"` uses (openbao/openbao, api/client.go, api/request.go;
 * openbao/go-kms-wrapping and hashicorp/go-kms-wrapping, wrappers/transit/transit_client.go): PUT, Host localhost, no
 * Content-Type. No real Vault or OpenBao takes part.
 */
function asSeal(socketPath: string, path: string, body: unknown, headers = TOKEN): Promise<AgentAnswer> {
  const bytes = Buffer.from(JSON.stringify(body));
  return new Promise((resolve, reject) => {
    const own = { host: 'localhost', 'x-vault-request': 'true', 'content-length': bytes.length, ...headers };
    const asking = request({ socketPath, method: 'PUT', path: `/v1/${path}`, headers: own }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          json: JSON.parse(Buffer.concat(chunks).toString('utf8')),
        }),
      );
    });
    asking.on('error', reject);
    asking.end(bytes);
  });
}

const dataOf = ({ json }: AgentAnswer) => json['data'] as Readonly<Record<string, string>>;

describe.sequential('seal "transit" against real nodes', { timeout: 240_000 }, () => {
  const plaintext = Buffer.from('{"root":"key of a vault"}').toString('base64');
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let node: NodePlace;
  let other: NodePlace;
  let first = '';

  beforeAll(async () => {
    folder = await tempFolder();
    network = await twoNodeNetwork(folder.path, { agent: { transit: true } });
    [node, other] = network.nodes;
    for (const place of network.nodes) place.start();
    for (const place of network.nodes) await agentUntil(place.socketPath, '/status', isReady);
  }, 240_000);

  afterAll(async () => {
    await network?.close();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  it('does what a start does: renews its token in vain, encrypts a test value, then its root key', async () => {
    const renewal = await asSeal(node.socketPath, 'auth/token/renew-self', { increment: 0 });
    expect(renewal.status).toBe(404);
    const tested = await asSeal(node.socketPath, 'transit/encrypt/autounseal', { plaintext: 'YQ==' });
    expect(tested).toMatchObject({ status: 200, json: { data: { key_version: 1 } } });
    first =
      dataOf(await asSeal(node.socketPath, 'transit/encrypt/autounseal', { plaintext }))['ciphertext'] ?? '';
    expect(first.startsWith('vault:v1:')).toBe(true);
  });

  it('unseals after the node was killed and got its store back from its peer; and after a rotation', async () => {
    await node.end('SIGKILL');
    node.start();
    await agentUntil(node.socketPath, '/status', isReady);
    expect(
      dataOf(await asSeal(node.socketPath, 'transit/decrypt/autounseal', { ciphertext: first })),
    ).toEqual({
      plaintext,
    });
    const rotated = await askAgent(node.socketPath, 'POST', '/v1/transit/keys/autounseal/rotate');
    expect(rotated?.json).toEqual({ data: { name: 'autounseal', latest_version: 2 } });
    const second = dataOf(await asSeal(node.socketPath, 'transit/encrypt/autounseal', { plaintext }));
    expect(second['ciphertext']?.startsWith('vault:v2:')).toBe(true);
    for (const ciphertext of [first, second['ciphertext']]) {
      const opened = await asSeal(node.socketPath, 'transit/decrypt/autounseal', { ciphertext });
      expect(dataOf(opened)).toEqual({ plaintext });
    }
  });

  it('is told by `errors` that a ciphertext is not of this node, and gets no route where they are off', async () => {
    const wrong = { ciphertext: `${first.slice(0, -4)}AAAA` };
    expect(await asSeal(node.socketPath, 'transit/decrypt/autounseal', wrong)).toMatchObject({
      status: 400,
      json: {
        code: 'TRANSIT_CIPHERTEXT_INVALID',
        errors: [expect.stringContaining('TRANSIT_CIPHERTEXT_INVALID')],
      },
    });
    expect(await asSeal(other.socketPath, 'transit/encrypt/autounseal', { plaintext })).toMatchObject({
      status: 404,
      json: { code: 'ROUTE_NOT_FOUND' },
    });
  });

  it('gets 503 and not a new key while the store is locked', async () => {
    await other.end('SIGKILL');
    await node.end('SIGKILL');
    node.start();
    await agentUntil(node.socketPath, '/status', ({ json }) => json['state'] === 'locked');
    for (const path of ['encrypt', 'decrypt']) {
      const body = path === 'encrypt' ? { plaintext } : { ciphertext: first };
      expect(await asSeal(node.socketPath, `transit/${path}/autounseal`, body)).toMatchObject({
        status: 503,
        json: { code: 'NODE_LOCKED', errors: [expect.stringContaining('NODE_LOCKED')] },
      });
    }
  });
});
