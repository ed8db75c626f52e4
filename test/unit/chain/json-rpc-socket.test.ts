import { execFile } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { endpointName, openJsonRpcSocket } from '../../../src/chain/json-rpc-socket.ts';
import { type Clock, systemClock } from '../../../src/time/clock.ts';

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A WebSocket server that does what the test says with each message. */
async function webSocketServer(onMessage: (socket: WebSocket, text: string) => void): Promise<string> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (socket) => socket.on('message', (data) => onMessage(socket, String(data))));
  await new Promise((resolve) => server.once('listening', resolve));
  cleanups.push(async () => {
    for (const client of server.clients) client.terminate();
    await new Promise((resolve) => server.close(resolve));
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A TCP server that never says a word. */
async function silentTcpServer(): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function open(endpoint: string, deadlineMs = 5000) {
  const socket = await openJsonRpcSocket({
    endpoint,
    connectDeadlineMs: deadlineMs,
    requestDeadlineMs: deadlineMs,
  });
  cleanups.push(() => socket.close('test is over'));
  return socket;
}

const idOf = (text: string): number => (JSON.parse(text) as { id: number }).id;
const answer = (socket: WebSocket, text: string, body: object): void =>
  socket.send(JSON.stringify({ jsonrpc: '2.0', id: idOf(text), ...body }));
const unavailable = { code: 'CHAIN_UNAVAILABLE' };

describe('JSON-RPC socket', () => {
  it('fails when the port is closed, and when a server accepts and stays silent', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    await expect(open(`ws://127.0.0.1:${port}`)).rejects.toMatchObject(unavailable);
    await expect(open(await silentTcpServer(), 100)).rejects.toMatchObject(unavailable);
  });

  it('is aborted at once, while connecting and when connected', async () => {
    const endpoint = await silentTcpServer();
    const hour = 3_600_000;
    const options = { connectDeadlineMs: hour, requestDeadlineMs: hour };
    const connecting = new AbortController();
    const attempt = openJsonRpcSocket({ ...options, endpoint, signal: connecting.signal });
    connecting.abort();
    await expect(attempt).rejects.toMatchObject(unavailable);
    await expect(
      openJsonRpcSocket({ ...options, endpoint, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject(unavailable);

    const connected = new AbortController();
    const url = await webSocketServer(() => undefined);
    const socket = await openJsonRpcSocket({ ...options, endpoint: url, signal: connected.signal });
    const pending = socket.request('anything', []);
    connected.abort();
    await expect(pending).rejects.toMatchObject(unavailable);
    await socket.ended;
  });

  it('matches answers by id, in any order', async () => {
    const held: string[] = [];
    const url = await webSocketServer((socket, text) => {
      held.push(text);
      if (held.length < 2) return;
      for (const request of held.reverse())
        answer(socket, request, { result: (JSON.parse(request) as { method: string }).method });
    });
    const socket = await open(url);
    expect(await Promise.all([socket.request('first', []), socket.request('second', [])])).toEqual([
      'first',
      'second',
    ]);
  });

  it('an error answer and a missing answer fail that request only', async () => {
    const url = await webSocketServer((socket, text) => {
      if (text.includes('"wrong"')) answer(socket, text, { error: { code: -32601, message: 'no' } });
      if (text.includes('"right"')) answer(socket, text, { result: 1 });
    });
    const socket = await open(url, 300);
    await expect(socket.request('wrong', [])).rejects.toMatchObject(unavailable);
    await expect(socket.request('unanswered', [])).rejects.toMatchObject(unavailable);
    expect(await socket.request('right', [])).toBe(1);
  });

  it.each([{ code: { toString: 1 } }, { message: [{ valueOf: 1, toString: 1 }] }, {}, 7, 'no'])(
    'an error answer of any form, %j, fails that request and nothing else',
    async (error) => {
      const url = await webSocketServer((socket, text) => answer(socket, text, { error }));
      const socket = await open(url);
      await expect(socket.request('wrong', [])).rejects.toMatchObject(unavailable);
    },
  );

  it.each<[string, { code: number; message: string }, string]>([
    ['state_getReadProof', { code: -32601, message: 'Method not found' }, 'read proofs'],
    ['grandpa_proveFinality', { code: -32601, message: 'Method not found' }, 'grandpa_proveFinality'],
    ['state_getReadProof', { code: 4003, message: 'Client error: UnknownBlock' }, 'pruned'],
    ['state_queryStorageAt', { code: 1, message: 'State already discarded for 0x12' }, 'pruned'],
    ['chain_getHeader', { code: 429, message: 'slow down' }, 'limits requests'],
    ['chain_getHeader', { code: -32000, message: 'Too many requests' }, 'limits requests'],
  ])('a failed %s gives an error with the method and advice: %j', async (method, error, hint) => {
    const url = await webSocketServer((socket, text) => answer(socket, text, { error }));
    const socket = await open(url);
    await expect(socket.request(method, [])).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringContaining(method),
      hint: expect.stringContaining(hint),
    });
  });

  it('a handshake that is answered by 429 says that the endpoint limits requests', async () => {
    const server = createHttpServer((_request, response) => response.writeHead(429).end());
    server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 429 Too Many Requests\r\n\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(async () => {
      await new Promise((resolve) => server.close(resolve));
    });
    await expect(open(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)).rejects.toMatchObject({
      ...unavailable,
      hint: expect.stringContaining('limits requests'),
    });
  });

  it('keeps only the beginning of an endless error text', async () => {
    const url = await webSocketServer((socket, text) =>
      answer(socket, text, { error: { code: 1, message: 'x'.repeat(1_000_000) } }),
    );
    const failure: unknown = await (await open(url)).request('wrong', []).catch((error: unknown) => error);
    expect(failure instanceof Error && failure.message.length).toBeLessThan(300);
  });

  it('keeps notifications that arrive before the id of their subscription', async () => {
    const url = await webSocketServer((socket, text) => {
      const notify = (result: number): void =>
        socket.send(JSON.stringify({ jsonrpc: '2.0', method: 'm', params: { subscription: 'a', result } }));
      notify(1);
      answer(socket, text, { result: 'a' });
      notify(2);
    });
    const socket = await open(url);
    const seen: unknown[] = [];
    await new Promise<void>((resolve) => {
      void socket.subscribe('subscribe', (result) => {
        seen.push(result);
        if (seen.length === 2) resolve();
      });
    });
    expect(seen).toEqual([1, 2]);
  });

  it.each([
    ['text that is not JSON', 'garbage'],
    ['a JSON number', '7'],
    ['null', 'null'],
    ['a million empty objects', `{"id":1,"result":[${'{},'.repeat(1_000_000)}{}]}`],
    ['a million lists in each other', `{"id":1,"result":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`],
    ['a property name that is too long', `{"id":1,"result":{"${'x'.repeat(1024)}":0}}`],
    ['such a name with quotes in it', `{"id":1,"result":{"${'x\\\\\\"'.repeat(400)}" \t\n:0}}`],
    ['such a name behind a text with a backslash at its end', `{"a":"\\\\","${'x'.repeat(1024)}":0}`],
  ])('%s closes the connection and fails all waiting requests', async (_name, junk) => {
    const url = await webSocketServer((socket) => socket.send(junk));
    const socket = await open(url);
    await expect(socket.request('anything', [])).rejects.toMatchObject(unavailable);
    expect(await socket.ended).toContain('JSON-RPC');
    await expect(socket.request('later', [])).rejects.toMatchObject(unavailable);
  });

  it.each([
    ['long texts that are no names', { x: 'y'.repeat(5000), z: ['y'.repeat(5000), '"'.repeat(5000), ':'] }],
    ['texts that look like names', { x: `${'y'.repeat(5000)}":0,"`, '\\"': `\\":${'y'.repeat(2000)}` }],
    ['a name of the longest length', { ['x'.repeat(1023)]: 0 }],
  ])('an answer with %s is taken', async (_name, result) => {
    const url = await webSocketServer((socket, text) => answer(socket, text, { result }));
    expect(await (await open(url)).request('anything', [])).toEqual(result);
  });

  it('a message above the size limit ends the connection', async () => {
    const url = await webSocketServer((socket) => socket.send(`"${'x'.repeat(33 * 1024 * 1024)}"`));
    const socket = await open(url);
    await expect(socket.request('anything', [])).rejects.toMatchObject(unavailable);
  });

  it.each([
    ['answers to nothing', { id: 4_000_000, result: 'x'.repeat(1_000_000) }],
    ['answers to what was answered', { id: 1, result: 'x'.repeat(1_000_000) }],
    ['notifications of no subscription', { params: { subscription: 's', result: 'x'.repeat(1_000_000) } }],
    ['notifications of a subscription', { params: { subscription: 'mine', result: 'x'.repeat(1_000_000) } }],
  ])('an endpoint that sends megabytes of %s is left', async (_what, message) => {
    const url = await webSocketServer((socket, text) => {
      answer(socket, text, { result: 'mine' });
      if (text.includes('"request"')) return;
      for (let sent = 0; sent < 100; sent += 1) socket.send(JSON.stringify(message));
    });
    const socket = await open(url);
    let heard = 0;
    await socket.request('request', []);
    await socket.subscribe('subscribe', () => {
      heard += 1;
    });
    expect(await socket.ended).toContain('more than it was asked for');
    expect(heard).toBeLessThanOrEqual(4);
    await expect(socket.request('more', [])).rejects.toMatchObject(unavailable);
  });

  it('four megabytes at once and 64 kB a second are no reason to leave it', async () => {
    let say: (kilobytes: number) => void = () => undefined;
    const url = await webSocketServer((socket, text) => {
      say = (kilobytes) =>
        socket.send(JSON.stringify({ params: { subscription: 7, result: 'x'.repeat(kilobytes * 1000) } }));
      answer(socket, text, { result: 7 });
    });
    let nowMs = 0;
    const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
    const deadlines = { connectDeadlineMs: 5000, requestDeadlineMs: 5000 };
    const socket = await openJsonRpcSocket({ endpoint: url, clock, ...deadlines });
    cleanups.push(() => socket.close('test is over'));
    let heard = 0;
    await socket.subscribe('subscribe', () => {
      heard += 1;
    });
    const hear = async (kilobytes: number): Promise<void> => {
      const before = heard;
      say(kilobytes);
      await expect.poll(() => heard).toBe(before + 1);
    };
    await hear(4_100);
    for (let second = 1; second <= 20; second += 1) {
      nowMs = second * 1000;
      await hear(60);
    }
    // What was not said for hours is not saved up.
    nowMs = 36_000_000;
    say(4_300);
    expect(await socket.ended).toContain('more than it was asked for');
  });

  it('an answer that comes after its deadline is no reason to leave the endpoint', async () => {
    let late: () => void = () => undefined;
    const url = await webSocketServer((socket, text) => {
      if (text.includes('"slow"')) late = () => answer(socket, text, { result: 'x'.repeat(6_000_000) });
      else answer(socket, text, { result: 'quick' });
    });
    const socket = await open(url, 300);
    await expect(socket.request('slow', [])).rejects.toMatchObject(unavailable);
    late();
    expect(await socket.request('quick', [])).toBe('quick');
    // Once is honest.
    late();
    expect(await socket.ended).toContain('more than it was asked for');
  });

  it('unexpected notifications are not kept in memory', { timeout: 60_000 }, async () => {
    const url = await webSocketServer((socket, text) => {
      const notification = `{"params":{"subscription":"x","result":"${'x'.repeat(8 * 1024 * 1024)}"}}`;
      for (let count = 0; count < 32; count++) socket.send(notification);
      answer(socket, text, { result: 'still here' });
    });
    // In a process of its own, which has room for a few of them.
    const program = `
      import { openJsonRpcSocket } from '${new URL('../../../src/chain/json-rpc-socket.ts', import.meta.url).href}';
      const deadlines = { connectDeadlineMs: 60000, requestDeadlineMs: 60000 };
      const socket = await openJsonRpcSocket({ endpoint: '${url}', ...deadlines });
      console.log(await socket.request('anything', []).catch(({ message }) => message));
      process.exit();`;
    const args = ['--max-old-space-size=128', '--import', 'tsx', '--input-type=module', '-e', program];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toContain('more than it was asked for');
  });

  it('names an endpoint without its path and query, which may contain an API key', () => {
    expect(endpointName('wss://node.example:443/v1/SECRET?key=SECRET')).not.toContain('SECRET');
    expect(endpointName('wss://user:SECRET@node.example/')).not.toContain('SECRET');
  });
});
