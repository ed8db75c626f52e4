import { type AddressInfo, connect, createServer } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { limitBody } from '../../../src/http/limit-body.ts';
import { listen } from '../../../src/http/listener.ts';
import { boundedHttp } from '../../../src/outbound/bounded-http.ts';

const BYTES = 200_000;
/** A list of so many pieces takes 20 MB and more. */
const MOST_MB = 8;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function usedMb(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 1e6;
}

/** Once for all: what one test leaves must not hide what the next one takes. */
const atFirst = usedMb();

/** Memory that grows while `count()` rises to the number of bytes. */
async function growth(begin: () => Promise<unknown>, count: () => number): Promise<number> {
  await begin();
  await expect.poll(count, { timeout: 40_000 }).toBeGreaterThanOrEqual(BYTES);
  return usedMb() - atFirst;
}

const pieces = '1\r\na\r\n'.repeat(BYTES);

describe('a body in pieces of one byte', () => {
  it('of a stranger takes about the memory of its bytes', async () => {
    let seen = 0;
    const app = new Hono<{ Bindings: { incoming: NodeJS.ReadableStream } }>();
    app.use(async (context, next) => {
      context.env.incoming.on('data', (chunk: Buffer) => {
        seen += chunk.length;
      });
      await next();
    });
    app.use(limitBody(BYTES + 10));
    app.post('/', async (context) => context.text(await context.req.text()));
    const listener = await listen((request, env) => app.fetch(request, env), { host: '127.0.0.1', port: 0 });
    const socket = connect(listener.port, '127.0.0.1');
    socket.on('error', () => undefined);
    const head = 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n';
    // It never ends.
    const grown = await growth(
      async () => socket.write(head + pieces),
      () => seen,
    );
    socket.destroy();
    await listener.close(0);
    expect(grown).toBeLessThan(MOST_MB);
  });

  it('of a peer takes about the memory of its bytes', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () =>
        socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${pieces}`),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const bounds = { timeoutMs: 3_000, maxBytes: BYTES + 10 };
    const answer = boundedHttp()({ url: `http://127.0.0.1:${port}/`, method: 'GET', ...bounds });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const grown = usedMb() - atFirst;
    expect(await answer).toEqual({ ok: false, reason: 'no complete answer within 3000 ms' });
    server.close();
    expect(grown).toBeLessThan(MOST_MB);
  });
});
