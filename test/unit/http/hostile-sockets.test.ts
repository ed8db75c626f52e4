import { once } from 'node:events';
import { connect, Server, type Socket } from 'node:net';
import { Hono } from 'hono';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { serveApp } from '../../../src/decryptions/serve-app.ts';
import { defaultListenerBounds, type Listener, listen } from '../../../src/http/listener.ts';
import { type KeyServerWorld, keyServerWorld } from '../../support/key-server-fixture.ts';
import { ProtocolClient } from '../../support/protocol-client.ts';

const open: (Listener | Socket)[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) {
    if ('destroy' in one) one.destroy();
    else await one.close(0);
  }
});

async function door(world: KeyServerWorld, bounds = defaultListenerBounds): Promise<number> {
  const listener = await listen(world.handler, { host: '127.0.0.1', port: 0 }, bounds);
  open.unshift(listener);
  return listener.port;
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  open.unshift(socket);
  await once(socket, 'connect');
  return socket;
}

/** Everything that comes until the other side closes. */
async function untilClosed(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  await once(socket, 'close');
  return text;
}

/** A request on a connection that ends after the answer. */
const post = (headers: string, body: string): string =>
  `POST /challenge HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n${headers}\r\n${body}`;
const chunked = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

/** Waits for a log line with this event. */
async function logged(world: KeyServerWorld, what: string): Promise<string> {
  while (!world.logText().includes(what)) await new Promise((resolve) => setTimeout(resolve, 5));
  return world.logText();
}

describe('bodies on a real socket', () => {
  it('a chunked body is read like any other', async () => {
    const world = keyServerWorld();
    const { body } = await new ProtocolClient(world).prepare();
    const asked = JSON.stringify({
      accountId: body['accountId'],
      ephemeralPublicKey: body['ephemeralPublicKey'],
    });
    const socket = await dial(await door(world));
    const parts = [asked.slice(0, 10), asked.slice(10)].map(chunked).join('');
    socket.write(post('transfer-encoding: chunked\r\n', `${parts}0\r\n\r\n`));
    const answer = await untilClosed(socket);
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer).toContain('"nonce"');
  });

  it.each([
    ['chunked', 'transfer-encoding: chunked\r\n', chunked('a'.repeat(300_000)), 'BODY_TOO_LARGE'],
    ['announced', 'content-length: 300000\r\n', 'a', 'BODY_TOO_LARGE'],
    ['neither announced nor chunked', '', '', 'BODY_NOT_JSON'],
  ])('%s: refused before its end', async (_how, headers, body, code) => {
    const world = keyServerWorld();
    const socket = await dial(await door(world));
    socket.write(post(headers, body));
    expect(await untilClosed(socket)).toContain(`"code":"${code}"`);
    expect(world.logText()).not.toContain('http.failed');
  });

  it.each([
    ['announced', 'content-length: 500\r\n', '{"acc'],
    ['chunked', 'transfer-encoding: chunked\r\n', chunked('{"acc')],
  ])(
    '%s: a client that disconnects in the middle is not logged as a failure of the server',
    async (_how, headers, body) => {
      const world = keyServerWorld();
      const socket = await dial(await door(world));
      socket.write(post(headers, body));
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.destroy();
      const log = await logged(world, '"http.request"');
      expect(log).toContain('"status":400');
      expect(log).not.toContain('http.failed');
    },
  );
});

describe('connections', () => {
  it('a request that arrives too slowly is ended', async () => {
    const bounds = { ...defaultListenerBounds, requestTimeoutMs: 60, checkIntervalMs: 10 };
    const socket = await dial(await door(keyServerWorld(), bounds));
    socket.write('POST /challenge HTTP/1.1\r\nhost: x\r\nx-slow: ');
    expect(await untilClosed(socket)).toMatch(/^HTTP\/1.1 408 /);
  });

  it('a connection without a request is ended', async () => {
    const bounds = { ...defaultListenerBounds, requestTimeoutMs: 60, checkIntervalMs: 10 };
    await untilClosed(await dial(await door(keyServerWorld(), bounds)));
  });

  it.each([
    ['one network', { maxConnectionsPerNetwork: 3 }],
    ['all together', { maxConnections: 3 }],
  ])('%s: idle connections are closed for a new one, which is served', async (_who, change) => {
    const port = await door(keyServerWorld(), { ...defaultListenerBounds, ...change });
    const [first, second, third] = [await dial(port), await dial(port), await dial(port)];
    const fourth = await dial(port);
    await untilClosed(first);
    fourth.write('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    expect(await untilClosed(fourth)).toMatch(/^HTTP\/1.1 200 /);
    expect([second.destroyed, third.destroyed]).toEqual([false, false]);
  });

  it('one address may use a small part of the default places', () => {
    const { maxConnections, maxConnectionsPerNetwork, maxConnectionsPerSite } = defaultListenerBounds;
    expect(maxConnectionsPerNetwork * 32).toBeLessThanOrEqual(maxConnections);
    expect(maxConnectionsPerSite * 8).toBeLessThanOrEqual(maxConnections);
  });

  it('pipelined requests are answered in their order', async () => {
    const socket = await dial(await door(keyServerWorld()));
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(2));
    socket.write('GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    const statuses = (await untilClosed(socket)).match(/HTTP\/1.1 \d+/g);
    expect(statuses).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 404']);
  });
});

describe('a connection that cannot be accepted', () => {
  const doors = {
    'the open port': () => listen(() => new Response(), { host: '127.0.0.1', port: 0 }),
    decryptions: () => serveApp(new Hono(), { address: '127.0.0.1', port: 0 }),
  } as const;

  it.each(Object.entries(doors))(
    'does not end the process, also when it happens again: %s',
    async (_name, listenThere) => {
      const listening = vi.spyOn(Server.prototype, 'listen');
      const listener = await listenThere();
      // What listens is a server; the spy does not know its own `this`.
      const [server] = listening.mock.contexts as Server[];
      listening.mockRestore();
      // As node:net does when the system gives an error instead of a socket; without a listener it would be thrown.
      const fail = () => server?.emit('error', Object.assign(new Error('accept EPROTO'), { code: 'EPROTO' }));
      expect([fail(), fail()]).toEqual([true, true]);
      const socket = await dial(listener.port);
      socket.end('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
      expect(await untilClosed(socket)).toMatch(/^HTTP\/1\.1 \d/);
      await listener.close(0);
    },
  );
});
