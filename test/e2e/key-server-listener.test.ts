import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import type { CollateralSource } from '../../src/collateral/collateral-source.ts';
import { type ListenAddress, type Listener, listen } from '../../src/http/listener.ts';
import { type KeyServerWorld, keyServerWorld, memoryCollateral } from '../support/key-server-fixture.ts';
import { type Attempt, clientAccount, ProtocolClient } from '../support/protocol-client.ts';

let folder: string;
let world: KeyServerWorld;
const listeners: Listener[] = [];

async function serve(
  address: ListenAddress = { host: '127.0.0.1', port: 0 },
  from = world,
): Promise<Listener> {
  const listener = await listen(from.handler, address);
  listeners.push(listener);
  return listener;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-'));
  world = keyServerWorld();
});

afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close(0);
  rmSync(folder, { recursive: true });
});

/** Sends raw bytes and reads until the other side closes or a whole answer is in. */
function raw(port: number, ...chunks: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (data) => {
      text += String(data);
      if (text.includes('"code"')) socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
    for (const chunk of chunks) socket.write(chunk);
  });
}

const head = (path: string, ...headers: string[]): string =>
  [
    'POST ',
    path,
    ' HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n',
    ...headers.map((h) => `${h}\r\n`),
    '\r\n',
  ].join('');

describe('a key server on a real socket', () => {
  it('K1 gives the same key for another challenge, and the same answer to the same request', async () => {
    const { url } = await serve();
    const client = new ProtocolClient(world);
    const send = async ({ body }: Attempt) => {
      const reply = await fetch(`${url}/request-encryption-key`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const text = await reply.text();
      return { status: reply.status, headers: reply.headers, text, json: JSON.parse(text) };
    };
    const [first, second] = [await client.prepare(), await client.prepare()];
    const repeated = await Promise.all([send(first), send(first), send(first)]);
    expect(repeated.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(repeated.map(({ text }) => text)).size).toBe(1);
    // Another nonce and another ephemeral key: the server decides again, and does not repeat an answer.
    expect(second.body['servers']).not.toEqual(first.body['servers']);
    const other = await send(second);
    const keys = [client.open(first, repeated[0] ?? other), client.open(second, other)].map(({ key }) =>
      toHex(key.reveal()),
    );
    expect(other.text).not.toBe(repeated[0]?.text);
    expect(keys[1]).toBe(keys[0]);
    const stranger = new ProtocolClient(world, clientAccount(2));
    const foreign = await stranger.prepare();
    expect(toHex(stranger.open(foreign, await send(foreign)).key.reveal())).not.toBe(keys[0]);
  });

  it('refuses a body of one megabyte by its announced length, before it is sent', async () => {
    const { port } = await serve();
    const answer = await raw(port, head('/request-encryption-key', 'content-length: 1048576'));
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toContain('"code":"BODY_TOO_LARGE"');
  });

  it('refuses a body of one megabyte without a length as soon as it is too long', async () => {
    const { port } = await serve();
    const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`;
    const answer = await raw(port, head('/challenge', 'transfer-encoding: chunked'), ...Array(5).fill(chunk));
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(world.logText()).not.toContain('http.failed');
  });

  it('ends only the connection of a request that is not HTTP or has a too long head', async () => {
    const { url, port } = await serve();
    expect(await raw(port, 'hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw(port, head('/challenge', `x: ${'y'.repeat(20_000)}`))).toMatch(/^HTTP\/1\.1 431 /);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it('answers HEAD like GET', async () => {
    const { url } = await serve();
    const reply = await fetch(`${url}/healthz`, { method: 'HEAD' });
    expect([reply.status, await reply.text()]).toEqual([200, '']);
  });
});

describe('a listener', () => {
  it('reports that its address is in use', async () => {
    const { port } = await serve();
    await expect(serve({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
  });

  it('finishes the running request when it closes, and accepts no further one', async () => {
    const { listener, reply, release } = await requestInFlight();
    const closed = listener.close(60_000);
    await expect(fetch(`${listener.url}/healthz`)).rejects.toThrow();
    release();
    expect((await reply).status).toBe(200);
    await closed;
  });

  it('cuts the remaining connections after the deadline', async () => {
    const { listener, reply, release } = await requestInFlight();
    const cut = expect(reply).rejects.toThrow();
    await listener.close(20);
    await cut;
    release();
  });
});

/** A key request that waits for collateral until it is released. */
async function requestInFlight() {
  const signals = { release: (): void => undefined, arrived: (): void => undefined };
  const released = new Promise<void>((resolve) => {
    signals.release = resolve;
  });
  const inFlight = new Promise<void>((resolve) => {
    signals.arrived = resolve;
  });
  const good = memoryCollateral(world.pki, world.clock);
  const slow: CollateralSource = {
    ...good,
    async collateralFor(platform) {
      signals.arrived();
      await released;
      return good.collateralFor(platform);
    },
  };
  const busy = keyServerWorld({ collateral: slow });
  const listener = await serve(undefined, busy);
  const attempt = await new ProtocolClient(busy).prepare();
  const reply = fetch(`${listener.url}/request-encryption-key`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(attempt.body),
  });
  await inFlight;
  return { listener, reply, release: signals.release };
}

describe('a Unix socket', () => {
  const ask = (socketPath: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const asking = request({ socketPath, path: '/healthz' }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      asking.on('error', reject);
      asking.end();
    });

  it('is accessible to its owner only, and replaces the socket of a process that was killed', async () => {
    const socketPath = join(folder, 'agent.sock');
    await serve({ socketPath });
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    expect(await ask(socketPath)).toBe(200);
    // Node unlinks its path when it closes, and a killed process does not: under another name the socket stays.
    const left = join(folder, 'left.sock');
    renameSync(socketPath, left);
    await listeners.splice(0)[0]?.close(0);
    await expect(ask(left)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await serve({ socketPath: left });
    expect(await ask(left)).toBe(200);
  });

  it('is not taken from a process that listens on it', async () => {
    const socketPath = join(folder, 'agent.sock');
    await serve({ socketPath });
    await expect(serve({ socketPath })).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
    expect(await ask(socketPath)).toBe(200);
  });

  it('is not taken from a process that listens on it and is too busy to answer', async () => {
    const socketPath = join(folder, 'busy.sock');
    const busy = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads');
      require('node:net').createServer().listen({ path: workerData, backlog: 1 }, () => {
        parentPort.postMessage('listening');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });`,
      { eval: true, workerData: socketPath },
    );
    await once(busy, 'message');
    const waiting: Socket[] = [];
    const dial = () =>
      new Promise<string>((resolve) => {
        const socket = connect(socketPath, () => resolve('in the backlog'));
        socket.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
        waiting.push(socket);
      });
    try {
      while ((await dial()) === 'in the backlog') expect(waiting.length).toBeLessThan(100);
      expect(await dial()).toBe('EAGAIN');
      await expect(serve({ socketPath })).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
      expect(statSync(socketPath).isSocket()).toBe(true);
    } finally {
      for (const socket of waiting) socket.destroy();
      await busy.terminate();
    }
  });

  it('never deletes a file that is not a socket', async () => {
    const socketPath = join(folder, 'precious');
    writeFileSync(socketPath, 'data');
    await expect(serve({ socketPath })).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
    expect(statSync(socketPath).isFile()).toBe(true);
  });
});
