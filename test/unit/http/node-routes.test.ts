import type { Hono } from 'hono';
import { beforeEach, describe, expect, it } from 'vitest';
import { InstanceId } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { keyRoutes } from '../../../src/http/key-routes.ts';
import { metricsApp } from '../../../src/http/metrics-app.ts';
import { appWithMiddleware, type MiddlewareEnv } from '../../../src/http/middleware.ts';
import { nodeRoutes } from '../../../src/http/node-routes.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { Metrics } from '../../../src/observe/metrics.ts';
import type { ServerNews } from '../../../src/protocol/not-enrolled.ts';
import { countingRandom } from '../../support/key-server-fixture.ts';
import { clientAccount } from '../../support/protocol-client.ts';

let app: Hono<MiddlewareEnv>;
let heard: ServerNews[];
let addresses: (string | undefined)[];
let ready: boolean;
let timesWritten: number;

beforeEach(() => {
  heard = [];
  addresses = [];
  ready = false;
  timesWritten = 0;
  const allManifests = {
    toJSON() {
      timesWritten += 1;
      return { manifests: ['all'] };
    },
  };
  app = appWithMiddleware({
    log: silentLog,
    metrics: new Metrics(),
    random: countingRandom(1),
    now: () => 0,
    maxBodyBytes: 1024,
    deadlineMs: 10_000,
    peerAddress: ({ req }) => req.header('x-test-peer'),
  });
  nodeRoutes(app, {
    fleet: (known: string | undefined) => (known === undefined ? allManifests : { manifests: [], known }),
    accepts: (asked) => ({ asked }),
    info: () => ({ name: 'latchkey', state: 'locked' }),
    readiness: () => ({ ready, report: { state: 'locked', have: 2 } }),
    hear: (news, address) => {
      addresses.push(address);
      return heard.push(news) === 1
        ? { enrolled: true }
        : { enrolled: false, signature: new Uint8Array(64).fill(7) };
    },
  });
  keyRoutes(app, () => {
    throw new ProblemError('NODE_LOCKED', 'the node is locked (2 of 3)', { retryAfterMs: 5_000 });
  });
});

const post = (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  app.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

describe('a node with a closed store', () => {
  it.each([
    '/challenge',
    '/request-encryption-key',
    '/key-status',
    '/reserve',
    '/claim',
    '/forget',
    '/lineage-status',
    '/lineage-update',
  ])('%s reports that the node is locked, and when to retry', async (path) => {
    const reply = await post(path, {});
    expect(reply.status).toBe(503);
    expect(reply.headers.get('retry-after')).toBe('5');
    expect(await reply.json()).toMatchObject({ code: 'NODE_LOCKED', retryAfterMs: 5000 });
  });

  it('is alive, and ready only when it reports readiness', async () => {
    expect((await app.request('/healthz')).status).toBe(200);
    const before = await app.request('/readyz');
    expect([before.status, await before.json()]).toEqual([503, { ready: false, state: 'locked', have: 2 }]);
    ready = true;
    expect((await app.request('/readyz')).status).toBe(200);
    expect(await (await app.request('/info')).json()).toEqual({ name: 'latchkey', state: 'locked' });
  });

  it('writes all fleet manifests once, however often they are asked for', async () => {
    for (const path of ['/fleet', '/fleet', '/fleet']) {
      const reply = await app.request(path);
      expect(reply.headers.get('content-type')).toBe('application/json');
      expect(await reply.json()).toEqual({ manifests: ['all'] });
    }
    expect(timesWritten).toBe(1);
    expect(await (await app.request('/fleet?known=0x01')).json()).toEqual({ manifests: [], known: '0x01' });
  });
});

describe.each([
  ['/server-restarted', 'instanceId', InstanceId.of(new Uint8Array(16).fill(1))],
  ['/server-draining', 'nonce', new Uint8Array(16).fill(1)],
] as const)('POST %s', (path, field, about) => {
  const text = `0x${'01'.repeat(16)}`;
  const server = clientAccount(1);
  it('accepts the hint with either form of the account', async () => {
    const answers: unknown[] = [];
    for (const named of [encodeSs58(server), toPrefixedHex(server)]) {
      answers.push(await (await post(path, { server: named, [field]: text })).json());
    }
    const signature = `0x${'07'.repeat(64)}`;
    expect(answers).toEqual([{ enrolled: true }, { enrolled: false, signature }]);
    expect(heard).toEqual([
      { server, [field]: about },
      { server, [field]: about },
    ]);
  });

  it('says from which address the hint came', async () => {
    const body = { server: encodeSs58(server), [field]: text };
    await post(path, body, { 'x-test-peer': '192.0.2.9', 'x-forwarded-for': '198.51.100.1' });
    await post(path, body);
    expect(addresses).toEqual(['192.0.2.9', undefined]);
  });

  it.each([
    [{ server: 'nobody', [field]: text }],
    [{ server: encodeSs58(server), [field]: '0x01' }],
    [{ server: encodeSs58(server) }],
    [{ server: encodeSs58(server), [field]: text, more: 1 }],
  ])('%j is refused and changes nothing', async (body) => {
    const reply = await post(path, body);
    expect([reply.status, heard.length]).toEqual([400, 0]);
    expect(await reply.json()).toMatchObject({ code: 'FIELD_INVALID' });
  });
});

describe('the metrics listener', () => {
  it('refreshes, answers the text exposition, and nothing else', async () => {
    const metrics = new Metrics();
    const listener = metricsApp(metrics, () => metrics.vaultKeys.set(7));
    const reply = await listener.request('/metrics');
    expect(reply.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await reply.text()).toContain('latchkey_vault_keys 7');
    expect((await listener.request('/info')).status).toBe(404);
  });
});
