import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boundedFetch } from '../../../src/outbound/bounded-fetch.ts';

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
const get = (path: string, limits: Limits = {}) =>
  boundedFetch(fetch, { url: `${url}${path}`, method: 'GET', timeoutMs: 20_000, maxBytes: 100, ...limits });

describe('a bounded fetch', () => {
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
    const answer = await boundedFetch(fetch, {
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
});
