import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { BodyRoom } from '../../../src/inbound/body-room.ts';
import { boundingAnswers } from '../../../src/inbound/bounded-answers.ts';

const MIB = 1024 * 1024;
/** More than the kernel takes of one connection. */
const ANSWER_BYTES = 16 * MIB;
const ROOM_BYTES = 64 * MIB;

let server: Server | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
});

/** Serves a large answer to everybody, and a larger one under `/larger`. @returns the answers, and how many of their bytes wait. */
async function serving(room?: BodyRoom): Promise<() => number> {
  const answers: ServerResponse[] = [];
  const bounds = { maxRequestsAtOnce: 16, takeTimeoutMs: 600_000 };
  server = createServer(
    boundingAnswers(
      (incoming, outgoing) => {
        answers.push(outgoing);
        outgoing.end(Buffer.alloc(incoming.url === '/larger' ? 2 * ANSWER_BYTES : ANSWER_BYTES));
      },
      room === undefined ? bounds : { ...bounds, room },
    ),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return () =>
    answers
      .filter(({ destroyed, closed }) => !destroyed && !closed)
      .reduce((sum, { writableLength }) => sum + writableLength, 0);
}

/** @param from an address of this machine, 127.0.0.0/8. */
async function ask(from: string, path = '/'): Promise<Socket> {
  // The server of this test, which listens on TCP.
  const { port } = (server as Server).address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  socket.on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  return socket;
}

it('readers who take nothing have room for a bounded number of answers, and others get theirs', async () => {
  const waiting = await serving(new BodyRoom(ROOM_BYTES));
  let [asked, most] = [0, 0];
  for (; asked < 24; asked++) {
    (await ask('127.0.0.1')).pause();
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, waiting());
  }
  await expect.poll(waiting, { timeout: 20_000 }).toBeLessThanOrEqual(ROOM_BYTES);
  expect(most).toBeLessThanOrEqual(ROOM_BYTES + ANSWER_BYTES);
  const honest = await ask('127.0.0.2');
  let bytes = 0;
  honest.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await once(honest, 'close');
  expect(bytes).toBeGreaterThan(ANSWER_BYTES);
});

it('room is given back when an answer is taken, and when its reader goes', async () => {
  const waiting = await serving(new BodyRoom(ROOM_BYTES));
  for (let round = 0; round < 12; round++) {
    const reader = await ask('127.0.0.1');
    if (round % 2 === 0) {
      reader.pause();
      await expect.poll(waiting).toBeGreaterThan(0);
      reader.destroy();
    } else {
      reader.resume();
      await once(reader, 'close');
      expect(reader.bytesRead).toBeGreaterThan(ANSWER_BYTES);
    }
    await expect.poll(waiting).toBe(0);
  }
  // The largest one would be ended if the others counted still.
  const last = await ask('127.0.0.1', '/larger');
  last.pause();
  await expect.poll(waiting).toBeGreaterThan(ANSWER_BYTES);
  last.resume();
  await once(last, 'close');
  expect(last.bytesRead).toBeGreaterThan(2 * ANSWER_BYTES);
});

it('without a room all of it is kept', async () => {
  const waiting = await serving();
  for (let asked = 0; asked < 12; asked++) (await ask('127.0.0.1')).pause();
  await expect.poll(waiting, { timeout: 20_000 }).toBeGreaterThan(ROOM_BYTES);
});
