import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { defaultListenerBounds, type Listener, listen } from '../../../src/http/listener.ts';
import { appWithMiddleware } from '../../../src/http/middleware.ts';
import { nodeRoutes } from '../../../src/http/node-routes.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { Metrics } from '../../../src/observe/metrics.ts';

const ANSWER_BYTES = 8_000_000;
const READERS = 12;

let listener: Listener | undefined;
let askedNever = 0;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await listener?.close(0);
});

async function serving(bounds = defaultListenerBounds): Promise<number> {
  askedNever = 0;
  const app = appWithMiddleware({
    log: silentLog,
    metrics: new Metrics(),
    random: (length) => new Uint8Array(length),
    now: () => 0,
    maxBodyBytes: 100,
    deadlineMs: 20_000,
    peerAddress: () => undefined,
  });
  const manifests = { manifests: ['a'.repeat(ANSWER_BYTES)] };
  nodeRoutes(app, {
    fleet: () => manifests,
    accepts: () => ({}),
    info: () => ({}),
    readiness: () => ({ ready: true, report: {} }),
    hear: () => ({ enrolled: true }),
  });
  app.get('/large', (context) => context.text('a'.repeat(ANSWER_BYTES)));
  app.get('/never', () => {
    askedNever += 1;
    return new Promise<never>(() => undefined);
  });
  listener = await listen(app.fetch, { host: '127.0.0.1', port: 0 }, bounds);
  return listener.port;
}

/** Ends with the connection; a reset is an end. */
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()));

/** Asks, and reads no more than the first bytes of the answer. */
async function askWithoutReading(port: number, path: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
  await once(socket, 'readable');
  return socket;
}

it('readers who stop reading share the memory of a large answer', async () => {
  const port = await serving();
  // The first answer is written, and kept.
  await askWithoutReading(port, '/fleet');
  const before = process.memoryUsage().arrayBuffers;
  for (let reader = 0; reader < READERS; reader++) await askWithoutReading(port, '/fleet');
  const grown = process.memoryUsage().arrayBuffers - before;
  expect(grown).toBeLessThan(2 * ANSWER_BYTES);
});

it.each([
  ['whose bytes are shared', '/fleet'],
  ['of another kind', '/large'],
])('a connection whose peer does not take an answer %s is ended', async (_kind, path) => {
  const port = await serving({ ...defaultListenerBounds, takeTimeoutMs: 100 });
  const socket = await askWithoutReading(port, path);
  await delay(3_000);
  let taken = 0;
  const ended = closed(socket);
  socket.on('data', (chunk: Buffer) => {
    taken += chunk.length;
    if (taken > ANSWER_BYTES) socket.destroy();
  });
  await ended;
  expect(taken).toBeLessThan(ANSWER_BYTES);
});

it('a connection whose peer takes its answers stays', async () => {
  // Longer than a busy machine stops between the end of an answer and its last byte.
  const port = await serving({ ...defaultListenerBounds, takeTimeoutMs: 1_500 });
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  for (let turn = 0; turn < 3; turn++) {
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(socket, 'data');
    await delay(1_600);
  }
  expect(socket.closed).toBe(false);
});

it('a connection with more requests at once than it may have is ended, and the rest of them is not looked at', async () => {
  const port = await serving();
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.write('GET /never HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(1_000));
  await closed(socket);
  expect(askedNever).toBe(defaultListenerBounds.maxRequestsAtOnce);
});

it('a connection may have many requests, a few at once', async () => {
  const port = await serving();
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  for (let turn = 0; turn < 20; turn++) {
    let text = '';
    socket.removeAllListeners('data');
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(4));
    await expect.poll(() => text.split('{"ok":true}').length, { timeout: 30_000 }).toBe(5);
  }
});
