import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, it } from 'vitest';
import { DecryptionService } from '../../../src/decryptions/decryption-service.ts';
import { decryptionsApp } from '../../../src/decryptions/decryptions-app.ts';
import { noMetrics } from '../../../src/decryptions/metrics.ts';
import { boundsOf, type ServedApp, serveApp } from '../../../src/decryptions/serve-app.ts';
import { defaultAnswerBounds } from '../../../src/inbound/bounded-answers.ts';

const KEY = 'ab'.repeat(32);

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let served: ServedApp | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await served?.close(0);
});

interface Seen {
  readonly failures: unknown[];
  waiting: number;
}

/** A service over a table without results, on a listener. */
async function serving(): Promise<Seen> {
  const seen: Seen = { failures: [], waiting: 0 };
  const metrics = {
    ...noMetrics,
    waiting(count: number) {
      seen.waiting = Math.max(seen.waiting, count);
    },
  };
  const table = {
    hasNow: () => false,
    read: () => Promise.resolve({ result: undefined, revision: 0 }),
    listen: () => () => undefined,
  };
  // Nothing else of a table is used where nothing is written.
  const service = DecryptionService.on(table as never, { metrics });
  const app = decryptionsApp(service, { onError: (error) => seen.failures.push(error) });
  served = await serveApp(app, { address: '127.0.0.1', port: 0 });
  return seen;
}

async function dial(): Promise<Socket> {
  const socket = connect(served?.port ?? 0, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

it('one connection cannot take the places of all waiters', async () => {
  const seen = await serving();
  const socket = await dial();
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write(`GET /decryption/${KEY} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(1_000));
  await ended;
  expect(seen.waiting).toBe(defaultAnswerBounds.maxRequestsAtOnce);
});

it('a body in pieces of one byte takes about the memory of its bytes', async () => {
  await serving();
  const bytes = 200_000;
  const used = (): number => {
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return (heapUsed + arrayBuffers) / 1e6;
  };
  const before = used();
  const socket = await dial();
  socket.write(`PUT /decryption/${KEY} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`);
  // It never ends.
  socket.write('1\r\n \r\n'.repeat(bytes));
  await expect.poll(() => socket.writableLength, { timeout: 30_000 }).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  // A list of so many pieces takes 40 MB.
  expect(used() - before).toBeLessThan(8);
});

it('takes no more connections than may wait, and some; of one network a sixteenth', () => {
  expect(boundsOf({})).toEqual({
    maxConnections: 16_384 + 4_096,
    maxConnectionsPerNetwork: 1_024 + 256,
    maxConnectionsPerSite: 4 * (1_024 + 256),
    maxRequestsPerNetwork: 1_024,
    maxRequestsPerSite: 4 * 1_024,
    sharesOnLoopback: false,
  });
  expect(boundsOf({ maxWaiters: 10 })).toMatchObject({ maxConnections: 4_106, maxRequestsPerNetwork: 64 });
  expect(boundsOf({ maxWaiters: 1_601 }).maxRequestsPerNetwork).toBe(101);
  expect(() => boundsOf({ maxWaiters: Number.NaN })).toThrow(RangeError);
  expect(() => boundsOf({ maxWaitersPerNetwork: 0.5 })).toThrow(RangeError);
});

it.each([
  ['announced', 'content-length: 500\r\n', '{'],
  ['chunked', 'transfer-encoding: chunked\r\n', '1\r\n{\r\n'],
])('%s: a client that hangs up in its body is no failure of the service', async (_how, header, body) => {
  const seen = await serving();
  const socket = await dial();
  socket.write(`PUT /decryption/${KEY} HTTP/1.1\r\nhost: x\r\n${header}\r\n${body}`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(seen.failures).toEqual([]);
});
