import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { askNodes, type Target, targetsOf, withRegistered } from '../../../src/cli/fleet/status/ask-nodes.ts';
import { serverTargets } from '../../../src/restarts/server-targets.ts';
import { accountBytes, accountNamed, backedAnswer } from '../../support/fleet-answers.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server on an IP port has an address of this kind.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const json = (body: unknown, status = 200): RequestListener => {
  const text = JSON.stringify(body);
  return (_request, response) => response.writeHead(status, { 'content-type': 'application/json' }).end(text);
};
const ask = async (one: Target, timeoutMs = 20_000) => {
  const [node] = await askNodes([one], { fetch, timeoutMs });
  return node?.answer;
};
const { accountId, instanceId, ...readiness } = backedAnswer('a', ['b', 'c', 'd']);

describe('asking a node', () => {
  it('puts its account and its readiness together, also when it is not ready', async () => {
    const target = await serve((request, response) =>
      request.url === '/info'
        ? json({ accountId, instanceId, state: 'backed' })(request, response)
        : json({ ...readiness, ready: false }, 503)(request, response),
    );
    const [named = { target: '' }] = await targetsOf([`${target}/`], undefined);
    expect(await ask(named)).toMatchObject({ accountId, ready: false, live: 3 });
  });

  it.each<[string, RequestListener, string]>([
    ['hangs', () => undefined, 'within'],
    ['sends without an end', (_request, response) => void flood(response), 'larger than'],
    ['answers without JSON', (_request, response) => response.end('<h1>hello</h1>'), 'without JSON'],
    ['answers another JSON', json([1, 2]), 'not in its form'],
    ['answers a number', json(7), 'without JSON'],
    ['answers 500', json({ detail: 'x' }, 500), 'not in its form'],
    [
      'sends one elsewhere',
      (_request, response) => response.writeHead(302, { location: '/' }).end(),
      'no answer',
    ],
    ['hangs up', (request) => request.socket.destroy(), 'no answer'],
  ])('one that %s is silent', async (_title, listener, why) => {
    const target = await serve(listener);
    expect(await ask({ target }, why === 'within' ? 300 : 20_000)).toEqual({
      silent: expect.stringContaining(why),
    });
  });

  it('one that is not there is silent', async () => {
    const target = await serve(json({}));
    await new Promise<void>((resolve) => servers.splice(0)[0]?.close(() => resolve()));
    expect(await ask({ target })).toEqual({ silent: expect.stringContaining('no answer') });
  });

  it('one that answers in another name than the chain shows is silent; one that knows none yet takes that of the chain', async () => {
    const target = await serve(json({ ...readiness, accountId, instanceId }));
    expect(await ask({ target, account: accountNamed('b') })).toEqual({
      silent: expect.stringContaining('answers as'),
    });
    expect(await ask({ target, account: accountNamed('a') })).toMatchObject({ state: 'backed' });
    const closed = await serve(json({ ...readiness, state: 'locked', ready: false }));
    expect(await ask({ target: closed, account: accountNamed('b') })).toMatchObject({
      accountId: accountNamed('b'),
    });
  });

  it('what the chain shows as an address and is none is not asked', async () => {
    const [named = { target: '' }] = serverTargets([{ account: accountBytes('a'), endpoint: '/etc/passwd' }]);
    expect(await ask(named)).toEqual({
      silent: 'its endpoint on the chain is no address',
    });
  });

  it.each([
    '10.0.0.5:3001',
    'node.example:3001',
    'http://user:word@host:1',
    'http://host:1/?x',
    'http://host:1/#x',
    'http://',
  ])('%s is not the URL of an open port', async (url) => {
    await expect(targetsOf([url], undefined)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('a node that is named twice is asked once', async () => {
    expect(await targetsOf(['http://a:1', 'http://a:1', 'http://a:1/'], undefined)).toEqual([
      { target: 'http://a:1' },
    ]);
  });

  it('a node that is named and on the chain is asked once, and must answer for the account of the chain', () => {
    const [a, b] = [accountNamed('a'), accountNamed('b')];
    const registered = [
      { target: 'http://a:1', account: a },
      { target: 'http://b:1', account: b },
    ];
    expect(withRegistered(['http://a:1', 'http://c:1', 'latchkey.yaml'], registered)).toEqual([
      { target: 'http://c:1' },
      { target: 'latchkey.yaml' },
      ...registered,
    ]);
  });
});

/** Sends until the other side hangs up. */
function flood(response: Parameters<RequestListener>[1]): void {
  const chunk = Buffer.alloc(64 * 1024, 0x20);
  const send = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', send);
  send();
}
