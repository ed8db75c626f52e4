import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { answerJson } from '../../../src/http/answer-json.ts';
import { type Listener, listen } from '../../../src/http/listener.ts';
import { appWithMiddleware } from '../../../src/http/middleware.ts';
import { Metrics } from '../../../src/observe/metrics.ts';

const value = { text: 'ä€😀', list: [1, 2] };
let listener: Listener | undefined;
afterEach(() => listener?.close(0));

/** A listener whose routes answer at once, and once `slow` is over; `ended` counts what the slow one did. */
async function serving(slow: Promise<unknown> = Promise.resolve(), deadlineMs = 20_000) {
  const ended: unknown[] = [];
  const metrics = new Metrics();
  const app = appWithMiddleware({
    log: () => undefined,
    metrics,
    random: (length) => new Uint8Array(length),
    now: () => 0,
    maxBodyBytes: 100,
    deadlineMs,
    peerAddress: () => undefined,
  });
  app.get('/value', (context) => answerJson(context, value));
  app.post('/slow', async (context) => {
    await slow;
    const answer = answerJson(context, value);
    ended.push(answer);
    return answer;
  });
  listener = await listen(app.fetch, { host: '127.0.0.1', port: 0 });
  const { url } = listener;
  return { app, metrics, ended, ask: (path: string, init?: RequestInit) => fetch(`${url}${path}`, init) };
}

it('answers the same over a socket and without one', async () => {
  const { app, ask, metrics } = await serving();
  for (const answer of [await ask('/value'), await app.request('/value')]) {
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f]{16}$/);
    expect(await answer.json()).toEqual(value);
  }
  expect(await metrics.text()).toContain('latchkey_http_requests_total{route="/value",status="200"} 2');
});

it('says how long the answer is, also when only the head is asked for', async () => {
  const { ask } = await serving();
  const length = `${Buffer.byteLength(JSON.stringify(value))}`;
  expect((await ask('/value')).headers.get('content-length')).toBe(length);
  const head = await ask('/value', { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, length, '']);
});

it('keeps the connection for the next request, each with an id and an answer of its own', async () => {
  const { ask } = await serving();
  for (let turn = 0; turn < 20; turn++) {
    expect(await (await ask('/value')).json()).toEqual(value);
    const refused = await ask('/nowhere');
    expect(((await refused.json()) as Record<string, unknown>)['instance']).toBe(
      refused.headers.get('x-request-id'),
    );
  }
});

it('says nothing after the answer that the request took too long', async () => {
  const errors = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  let go = (): void => undefined;
  const { ask, ended } = await serving(new Promise<void>((resolve) => (go = resolve)), 30);
  const answer = await ask('/slow', { method: 'POST', body: '{}' });
  expect([answer.status, ((await answer.json()) as Record<string, unknown>)['code']]).toEqual([
    504,
    'REQUEST_TIMEOUT',
  ]);
  go();
  while (ended.length === 0) await delay(5);
  expect(await (await ask('/value')).json()).toEqual(value);
  expect(errors).not.toHaveBeenCalled();
  errors.mockRestore();
});

it('ends quietly when the client is gone', async () => {
  const errors = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  let go = (): void => undefined;
  const { ask, ended } = await serving(new Promise<void>((resolve) => (go = resolve)));
  const gone = new AbortController();
  const asked = ask('/slow', { method: 'POST', body: '{}', signal: gone.signal });
  const refused = expect(asked).rejects.toThrow();
  await delay(50);
  gone.abort();
  await refused;
  await delay(50);
  go();
  while (ended.length === 0) await delay(5);
  expect(await (await ask('/value')).json()).toEqual(value);
  expect(errors).not.toHaveBeenCalled();
  errors.mockRestore();
});
