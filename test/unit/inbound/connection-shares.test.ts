import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import { beforeEach, describe, expect, it } from 'vitest';
import { limitConnections } from '../../../src/inbound/connection-shares.ts';

/** A socket that only has an address and an end. */
class FakeSocket extends EventEmitter {
  readonly remoteAddress: string | undefined;
  isOpen = true;

  constructor(remoteAddress: string | undefined) {
    super();
    this.remoteAddress = remoteAddress;
  }

  destroy(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    // As a real socket does: later.
    queueMicrotask(() => this.emit('close'));
  }
}

let server: EventEmitter;
beforeEach(() => {
  server = new EventEmitter();
  // The bounds listen to two events of a server and need nothing else of it.
  limitConnections(server as Server, {
    maxConnections: 6,
    maxConnectionsPerNetwork: 2,
    maxConnectionsPerSite: 3,
  });
});

function dial(address: string | undefined): FakeSocket {
  const socket = new FakeSocket(address);
  server.emit('connection', socket);
  return socket;
}

/** Begins a request; call what it returns to end it. */
function request(socket: FakeSocket): () => void {
  const response = new EventEmitter();
  server.emit('request', { socket }, response);
  return () => response.emit('close');
}

const isOpen = (sockets: readonly FakeSocket[]): boolean[] => sockets.map((socket) => socket.isOpen);

describe('a full share', () => {
  it('of one address closes its connection with the longest idle time', () => {
    const [first, second, third] = [dial('192.0.2.1'), dial('192.0.2.1'), dial('192.0.2.1')];
    expect(isOpen([first, second, third])).toEqual([false, true, true]);
  });

  it('keeps a connection with a request, and a connection with a recent request', () => {
    const [first, second] = [dial('192.0.2.1'), dial('192.0.2.1')];
    const end = request(first);
    const third = dial('192.0.2.1');
    expect(isOpen([first, second, third])).toEqual([true, false, true]);
    end();
    const fourth = dial('192.0.2.1');
    expect(isOpen([first, third, fourth])).toEqual([true, false, true]);
  });

  it('closes the new connection when all others have a request', () => {
    const held = [dial('192.0.2.1'), dial('192.0.2.1')];
    for (const socket of held) request(socket);
    const third = dial('192.0.2.1');
    expect(isOpen([...held, third])).toEqual([true, true, false]);
  });

  it('counts an IPv6 /64 as one address, and bounds a /48 too', () => {
    const sameNetwork = ['2001:db8:1:1::1', '2001:db8:1:1::2', '2001:db8:1:1::3'].map(dial);
    expect(isOpen(sameNetwork)).toEqual([false, true, true]);
    const sameSite = ['2001:db8:1:2::1', '2001:db8:1:3::1'].map(dial);
    expect(isOpen([...sameNetwork, ...sameSite])).toEqual([false, false, true, true, true]);
    expect(isOpen([dial('2001:db8:2:1::1'), ...sameSite])).toEqual([true, true, true]);
  });

  it('of all connections closes the one with the longest idle time in any network', () => {
    const held = [1, 2, 3, 4, 5, 6].map((number) => dial(`192.0.2.${number}`));
    const end = request(held[0] ?? dial('192.0.2.1'));
    const seventh = dial('192.0.2.7');
    expect(isOpen([...held, seventh])).toEqual([true, false, true, true, true, true, true]);
    end();
  });

  it('on a Unix socket counts only the total', () => {
    const held = Array.from({ length: 6 }, () => dial(undefined));
    expect(isOpen(held)).toEqual(Array.from({ length: 6 }, () => true));
    expect(isOpen([dial(undefined), ...held.slice(0, 2)])).toEqual([true, false, true]);
  });
});

it('where this machine has no share, only the total counts for it', () => {
  server = new EventEmitter();
  const bounds = { maxConnections: 4, maxConnectionsPerNetwork: 2, maxConnectionsPerSite: 3 };
  limitConnections(server as Server, { ...bounds, sharesOnLoopback: false });
  const held = ['127.0.0.1', '127.0.0.1', '127.0.0.1'].map(dial);
  expect(isOpen(held)).toEqual([true, true, true]);
  expect(isOpen(['192.0.2.1', '192.0.2.1', '192.0.2.1'].map(dial))).toEqual([false, true, true]);
  expect(isOpen(held)).toEqual([false, true, true]);
});

it('by default this machine has a share as others', () => {
  expect(isOpen(['127.0.0.1', '127.0.0.1', '127.0.0.1'].map(dial))).toEqual([false, true, true]);
});

it('a closed connection frees its place, also when the bounds closed it', async () => {
  const [first, second] = [dial('192.0.2.1'), dial('192.0.2.1')];
  first.destroy();
  await Promise.resolve();
  const third = dial('192.0.2.1');
  expect(isOpen([second, third])).toEqual([true, true]);
  dial('192.0.2.1');
  await Promise.resolve();
  expect(isOpen([second, third])).toEqual([false, true]);
});
