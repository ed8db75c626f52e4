import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { createIdentity } from '../../../src/boot/node/identity.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { registerForDevelopment } from '../../../src/node/registration.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { firstIncarnation } from '../../support/lineages.ts';
import { MemoryStore } from '../../support/memory-store.ts';

let server: WebSocketServer | undefined;
afterEach(async () => {
  for (const client of server?.clients ?? []) client.terminate();
  await new Promise((resolve) => server?.close(resolve));
});

/** A chain endpoint that does the next of these with each message that comes. */
async function endpoint(...answers: readonly ((socket: WebSocket) => void)[]): Promise<string> {
  const left = [...answers];
  const started = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server = started;
  started.on('connection', (socket) => socket.on('message', () => left.shift()?.(socket)));
  await new Promise((resolve) => started.once('listening', resolve));
  return `ws://127.0.0.1:${(started.address() as AddressInfo).port}`;
}

describe('registration on a development chain', () => {
  it('tolerates any answer of the endpoint, and is tried until it succeeds', async () => {
    const url = await endpoint(
      (socket) => socket.send('junk'),
      (socket) => socket.send('{"jsonrpc":"2.0","id":1,"error":{"code":{"toString":1}}}'),
      (socket) => socket.terminate(),
      (socket) => socket.send('{"jsonrpc":"2.0","id":1,"result":null}'),
    );
    const events: string[] = [];
    await registerForDevelopment(
      {
        identity: await createIdentity(new MemoryStore(), systemRandom, firstIncarnation),
        quotes: { quote: async () => new Uint8Array(8) },
        random: systemRandom,
        log: (_level, event) => void events.push(event),
        clock: { ...systemClock, sleep: async () => undefined },
        signal: new AbortController().signal,
      },
      { stash: '5F', endpoint: '127.0.0.1:1', chainEndpoints: [url] },
    );
    expect(events).toEqual([...Array(3).fill('node.not-registered'), 'node.registered']);
  });
});
