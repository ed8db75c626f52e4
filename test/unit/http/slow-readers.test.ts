import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { type Listener, listen } from '../../../src/http/listener.ts';
import { appWithMiddleware } from '../../../src/http/middleware.ts';
import { nodeRoutes } from '../../../src/http/node-routes.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { Metrics } from '../../../src/observe/metrics.ts';

const ANSWER_BYTES = 8_000_000;
const READERS = 12;

let listener: Listener | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await listener?.close(0);
});

async function serving(): Promise<number> {
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
  listener = await listen(app.fetch, { host: '127.0.0.1', port: 0 });
  return listener.port;
}

/** Asks, and reads no more than the first bytes of the answer. */
async function askWithoutReading(port: number, path: string): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
  await once(socket, 'readable');
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
