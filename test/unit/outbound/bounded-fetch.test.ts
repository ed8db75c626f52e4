import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boundedFetch } from '../../../src/outbound/bounded-fetch.ts';
import { boundedHttp, type Exchange } from '../../../src/outbound/bounded-http.ts';

let server: Server;
let url: string;
beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/hang') return;
    if (request.url === '/redirect') response.writeHead(302, { location: '/ok' }).end();
    else if (request.url?.endsWith('drip') === true) {
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'), request.url === '/drip' ? 1 : 1_000);
      response.on('close', () => clearInterval(timer));
    } else if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setTimeout(() => response.destroy(), 5);
    } else if (request.url === '/echo') {
      response.writeHead(200, { 'x-length': request.headers['content-length'] ?? 'none' });
      request.pipe(response);
    } else response.writeHead(404, { 'x-said': 'yes' }).end('x'.repeat(100));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});

interface Limits {
  readonly maxBytes?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}
const exchanges: readonly (readonly [string, Exchange])[] = [
  ['fetch', (request) => boundedFetch(fetch, request)],
  ['HTTP', boundedHttp()],
];

describe.each(exchanges)('a bounded exchange by %s', (_how, exchange) => {
  const get = (path: string, limits: Limits = {}) =>
    exchange({ url: `${url}${path}`, method: 'GET', timeoutMs: 20_000, maxBytes: 100, ...limits });

  it('returns status, headers and body, also of an error status', async () => {
    const answer = await get('/none');
    if (!answer.ok) throw new Error(answer.reason);
    expect([answer.status, answer.headers.get('x-said'), answer.body.length]).toEqual([404, 'yes', 100]);
  });

  it.each(['/hang', '/slow-drip'])('ends at its deadline for %s', async (path) => {
    const reason = expect.stringContaining('within 200 ms');
    expect(await get(path, { timeoutMs: 200 })).toEqual({ ok: false, reason });
  });

  it.each(['/drip', '/redirect', '/cut'])('ends with a reason for %s', async (path) => {
    const reason = expect.not.stringContaining('within');
    expect(await get(path)).toEqual({ ok: false, reason });
  });

  it('reads no byte above the limit', async () => {
    const reason = expect.stringContaining('larger than 99 bytes');
    expect(await get('/none', { maxBytes: 99 })).toEqual({ ok: false, reason });
  });

  it('reports the reason when there is no answer', async () => {
    const answer = await exchange({
      url: 'http://127.0.0.1:1/',
      method: 'GET',
      timeoutMs: 1_000,
      maxBytes: 1,
    });
    expect(answer).toMatchObject({ ok: false, reason: expect.stringMatching(/ECONNREFUSED|bad port/) });
  });

  it('ends when it is cancelled, before or during the exchange', async () => {
    const controller = new AbortController();
    const pending = get('/hang', { signal: controller.signal });
    controller.abort();
    expect(await pending).toEqual({ ok: false, reason: 'cancelled' });
    expect(await get('/none', { signal: controller.signal })).toEqual({ ok: false, reason: 'cancelled' });
  });

  it('sends a body with its length', async () => {
    for (const body of ['text ä', Uint8Array.of(0, 255, 10)]) {
      const limits = { timeoutMs: 20_000, maxBytes: 100 };
      const answer = await exchange({ url: `${url}/echo`, method: 'POST', body, ...limits });
      if (!answer.ok) throw new Error(answer.reason);
      const sent = Buffer.from(body);
      expect(answer.headers.get('x-length')).toBe(`${sent.length}`);
      expect(Buffer.from(answer.body).equals(sent)).toBe(true);
    }
  });

  it.each(['http://', 'http://a b/', 'http://host:99999/', 'nothing', 'http://[::'])(
    'gives a reason for %s, which is no URL',
    async (bad) => {
      const limits = { timeoutMs: 20_000, maxBytes: 1 };
      expect(await exchange({ url: bad, method: 'GET', ...limits })).toMatchObject({ ok: false });
    },
  );
});

describe('an exchange by HTTP', () => {
  it('uses a connection again, and none of an answer that was not read to its end', async () => {
    const exchange = boundedHttp();
    const ask = (path: string, maxBytes: number) =>
      exchange({ url: `${url}${path}`, method: 'GET', timeoutMs: 20_000, maxBytes });
    let connections = 0;
    const count = (): void => {
      connections += 1;
    };
    server.on('connection', count);
    for (let turn = 0; turn < 5; turn++) expect(await ask('/none', 100)).toMatchObject({ ok: true });
    expect(connections).toBe(1);
    expect(await ask('/drip', 3)).toMatchObject({ ok: false });
    expect(await ask('/none', 100)).toMatchObject({ ok: true, status: 404 });
    expect(connections).toBe(2);
    server.off('connection', count);
  });
});
