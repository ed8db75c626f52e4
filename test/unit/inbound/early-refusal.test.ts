import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { fetchTransport } from '../../../src/boot/peer/peer-transport.ts';
import { refuseWhenBusy } from '../../../src/http/key-routes.ts';
import { defaultListenerBounds, type Listener, listen } from '../../../src/http/listener.ts';

const PATH = '/request-encryption-key';

let listener: Listener;
let isBusy: boolean;
let handled: string[];
let asked: boolean[];

beforeEach(async () => {
  isBusy = true;
  handled = [];
  asked = [];
  const keyServer = {
    refuseEarly: (isLocked: boolean) => {
      asked.push(isLocked);
      return isBusy && !isLocked ? 1_234 : undefined;
    },
  };
  listener = await listen(
    async (request) => {
      handled.push(`${request.method} ${new URL(request.url).pathname} ${(await request.text()).length}`);
      return new Response('{}');
    },
    { host: '127.0.0.1', port: 0 },
    defaultListenerBounds,
    refuseWhenBusy(
      () => keyServer,
      () => 'some-id',
    ),
  );
});
afterEach(() => listener.close(0));

const post = (path: string, body: string, headers: Record<string, string> = {}) =>
  fetch(`${listener.url}${path}`, { method: 'POST', body, headers });

describe('a listener whose key server is busy', () => {
  it('refuses a request for a key by its head, as a problem that says when to come again', async () => {
    const answer = await post(PATH, 'x'.repeat(60_000));
    expect(answer.status).toBe(503);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('retry-after')).toBe('2');
    expect(answer.headers.get('x-request-id')).toBe('some-id');
    expect(await answer.json()).toMatchObject({
      code: 'SERVER_BUSY',
      retryAfterMs: 1_234,
      instance: 'some-id',
    });
    expect(handled).toEqual([]);
  });

  it('goes on with the next request of the same connection, and does not take the dropped body for one', async () => {
    const hidden = `POST ${PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`;
    for (let turn = 0; turn < 3; turn++) expect((await post(PATH, hidden.repeat(500))).status).toBe(503);
    isBusy = false;
    expect((await post(PATH, '{}')).status).toBe(200);
    expect(handled).toEqual([`POST ${PATH} 2`]);
    expect(asked).toHaveLength(4);
  });

  it.each([
    ['another route', '/challenge', 'POST'],
    ['another method', PATH, 'PUT'],
    ['a query', `${PATH}?x`, 'POST'],
  ])('lets %s pass', async (_what, path, method) => {
    const answer = await fetch(`${listener.url}${path}`, { method, body: '{}' });
    expect(answer.status).toBe(200);
    expect(asked).toEqual([]);
  });

  it.each([
    ['u=0', true],
    ['i, u=0', true],
    ['u=0,i', true],
    ['u=1', false],
    ['u=01', false],
    ['xu=0', false],
    ['u=0;x', false],
  ])('takes the field "priority: %s" as that of a locked node: %s', async (priority, isLocked) => {
    await post(PATH, '{}', { priority });
    expect(asked).toEqual([isLocked]);
  });

  it('knows a node that cannot open its store by what its transport sends', async () => {
    const { send } = fetchTransport();
    const endpoint = listener.url.slice('http://'.length);
    const signal = new AbortController().signal;
    for (const intent of ['recover', 'create', 'get-or-create'])
      await send(endpoint, PATH, { intent }, signal);
    expect(asked).toEqual([true, false, false]);
  });
});
