import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { DecryptionService } from '../../../src/decryptions/decryption-service.ts';
import type { DecryptionTable } from '../../../src/decryptions/decryption-table.ts';
import { type DecryptionsAppOptions, decryptionsApp } from '../../../src/decryptions/decryptions-app.ts';
import { type AppAddress, type ServedApp, serveApp } from '../../../src/decryptions/serve-app.ts';

const KEY = 'ab'.repeat(32);
const GOOD = '{"value":42,"signature":"YmJiYg=="}';

let served: ServedApp | undefined;
let service: DecryptionService;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  service.close();
  await served?.close(0);
});

interface Setting {
  readonly listen?: Partial<AppAddress>;
  readonly app?: DecryptionsAppOptions;
  readonly maxWaiters?: number;
  readonly update?: DecryptionTable['update'];
  readonly read?: DecryptionTable['read'];
}

/** A service over a table without results that takes every write, on a listener for which 127.0.0.1 is a stranger. */
async function serving({
  listen = {},
  app = {},
  maxWaiters = 16_384,
  update,
  read,
}: Setting = {}): Promise<void> {
  const table: Partial<DecryptionTable> = {
    hasNow: () => read !== undefined,
    read: read ?? (() => Promise.resolve({ result: undefined, revision: 0 })),
    listen: () => () => undefined,
    update:
      update ??
      ((_key, _oracle, decide) => {
        decide({ present: undefined, hasResult: false, signatures: 0 });
        return Promise.resolve(1);
      }),
  };
  // Nothing else of a table is used here.
  service = DecryptionService.on(table as DecryptionTable, { maxWaiters, maxExpectedOracleDelayMs: 600_000 });
  served = await serveApp(decryptionsApp(service, app), {
    address: '127.0.0.1',
    port: 0,
    maxWaiters,
    sharesOnLoopback: true,
    ...listen,
  });
}

/** @param from an address of this machine, 127.0.0.0/8. */
async function dial(from = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port: served?.port ?? 0, host: '127.0.0.1', localAddress: from });
  socket.on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

/** Everything that comes until the other side closes. */
async function untilClosed(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  if (!socket.closed) await once(socket, 'close');
  return text;
}

const put = (body: string, length = body.length, key = KEY): string =>
  `PUT /decryption/${key} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${length}\r\n\r\n${body}`;
const get = (query = ''): string =>
  `GET /decryption/${KEY}${query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`;
const getTen = `GET /decryption/${KEY} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(10);

async function ask(request: string, from?: string): Promise<string> {
  const socket = await dial(from);
  socket.write(request);
  return untilClosed(socket);
}

it('thousands of slow large bodies take no more memory than all bodies may', {
  timeout: 60_000,
}, async () => {
  await serving();
  const used = (): number => process.memoryUsage().arrayBuffers / 1e6;
  const before = used();
  const half = 'a'.repeat(512 * 1024);
  let most = 0;
  // 400 MB, and 800 MB are announced.
  for (let number = 0; number < 800; number += 1) {
    const socket = await dial();
    await new Promise((resolve) => {
      socket.once('close', resolve);
      socket.write(put(half, 1024 * 1024), resolve);
    });
    most = Math.max(most, used() - before);
  }
  expect(most).toBeLessThan(250);
  expect(await ask(put(GOOD), '127.0.0.2')).toMatch(/^HTTP\/1.1 200 /);
});

it('a body that has to make room is the largest of the network that holds most', async () => {
  await serving({ app: { maxBodyBytes: 1000, maxBodiesBytes: 2000 } });
  const [small, large, other] = [await dial(), await dial(), await dial('127.0.0.2')];
  small.write(put('{'.padEnd(700), 1000));
  large.write(put('{'.padEnd(800), 1000));
  await expect.poll(() => large.bytesWritten).toBeGreaterThan(800);
  await new Promise((resolve) => setTimeout(resolve, 100));
  other.write(put('{'.padEnd(900), 901));
  expect(await untilClosed(large)).toMatch(/^HTTP\/1.1 503 [\s\S]*DECRYPTION_BODIES_FULL/);
  small.write(' '.repeat(300));
  other.write('}');
  // Both are broken JSON: they were read to their ends.
  expect(await untilClosed(small)).toMatch(/^HTTP\/1.1 400 /);
  expect(await untilClosed(other)).toMatch(/^HTTP\/1.1 4/);
});

it('a body counts until its request is answered', async () => {
  let end: (revision: number) => void = () => undefined;
  await serving({
    app: { maxBodyBytes: 1000, maxBodiesBytes: 1000 },
    update: () => new Promise((resolve) => (end = resolve)),
  });
  const first = await dial();
  first.write(put(GOOD.padEnd(600)));
  await expect.poll(() => service.keysInMemory).toBe(1);
  // What is complete is not ended for another body, which finds no room.
  expect(await ask(put(GOOD.padEnd(600), 600, 'cd'.repeat(32)), '127.0.0.2')).toMatch(/^HTTP\/1.1 503 /);
  end(1);
  expect(await untilClosed(first)).toMatch(/^HTTP\/1.1 200 /);
  const third = await dial();
  third.write(put(GOOD.padEnd(600), 600, 'ef'.repeat(32)));
  await expect.poll(() => service.keysInMemory).toBe(1);
  end(2);
  expect(await untilClosed(third)).toMatch(/^HTTP\/1.1 200 /);
});

it('answers that are not taken have a common room, and those of others are not refused', {
  timeout: 60_000,
}, async () => {
  const signature = new Uint8Array(12 * 1024 * 1024);
  await serving({
    listen: { maxAnswersBytes: 64 * 1024 * 1024 },
    read: () => Promise.resolve({ result: { value: 1n, signature, storedAtMs: 0 }, revision: 1 }),
  });
  const readers: Socket[] = [];
  for (let number = 0; number < 16; number += 1) {
    const socket = await dial();
    socket.write(get('?wait=0'));
    socket.pause();
    readers.push(socket);
  }
  const whole = 16 * 1024 * 1024;
  expect((await ask(get('?wait=0'), '127.0.0.2')).length).toBeGreaterThan(whole);
  const texts = await Promise.all(readers.map((socket) => untilClosed(socket.resume())));
  expect(texts.filter(({ length }) => length > whole).length).toBeLessThan(9);
});

it('one address cannot take the places of all waiters', async () => {
  await serving({ maxWaiters: 100, listen: { maxWaitersPerNetwork: 10 } });
  for (let number = 0; number < 8; number += 1) (await dial()).write(getTen);
  await expect.poll(() => service.waiting).toBe(10);
  expect(await ask(get())).toMatch(/^HTTP\/1.1 503 [\s\S]*retry-after: 1\r\n[\s\S]*DECRYPTION_WAITERS_FULL/);
  expect(service.waiting).toBe(10);
  // Another address waits, and is answered.
  const other = ask(get(), '127.0.0.2');
  await expect.poll(() => service.waiting).toBe(11);
  await service.put(KEY, { value: 42n, signature: new Uint8Array(1) });
  expect(await other).toMatch(/^HTTP\/1.1 200 /);
  // So is the first again, whose requests have ended.
  expect(await ask(get('?wait=0'))).toMatch(/^HTTP\/1.1 404 /);
});

it('requests of a connection that ended take no places, also those behind one that waited', async () => {
  await serving({ maxWaiters: 100, listen: { maxWaitersPerNetwork: 10 } });
  for (let round = 0; round < 3; round += 1) {
    const socket = await dial();
    socket.write(getTen);
    await expect.poll(() => service.waiting).toBe(10);
    socket.destroy();
    await expect.poll(() => service.waiting).toBe(0);
    await expect.poll(async () => (await ask(get('?wait=0'))).slice(0, 13)).toBe('HTTP/1.1 404 ');
  }
});

it('one address cannot take all connections', async () => {
  await serving({ maxWaiters: 100, listen: { maxWaitersPerNetwork: 10 } });
  const held = await Promise.all(Array.from({ length: 400 }, () => dial()));
  // Half a request each: they are not idle.
  for (const socket of held) socket.write('GET /decryption/');
  await expect.poll(() => held.filter(({ closed }) => !closed).length).toBe(10 + 256);
  expect(await ask(get('?wait=0'), '127.0.0.2')).toMatch(/^HTTP\/1.1 404 /);
});

it('a proxy on this machine has no share: its clients are many', async () => {
  await serving({ maxWaiters: 100, listen: { maxWaitersPerNetwork: 10, sharesOnLoopback: false } });
  for (let number = 0; number < 50; number += 1) (await dial()).write(get());
  await expect.poll(() => service.waiting).toBe(50);
});

it('by default one address may use a sixteenth of the places of waiters', async () => {
  await serving({ maxWaiters: 1600 });
  for (let number = 0; number < 15; number += 1) (await dial()).write(getTen);
  await expect.poll(() => service.waiting).toBe(100);
});
