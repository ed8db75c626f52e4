import { Buffer } from 'node:buffer';
import { createServer, type RequestListener } from 'node:http';
import { globalAgent } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { describe, expect, it, vi } from 'vitest';
import {
  startUpstream,
  type TlsIdentity,
  tlsIdentity,
  type Upstream,
} from '../../../../devnet/tls-upstream.ts';
import { utf8 } from '../../../../src/bytes/concat.ts';
import { LatchkeyError } from '../../../../src/errors/latchkey-error.ts';
import { outgoingRequest, PLACEHOLDER, placesOf } from '../../../../src/secrets/relay/outgoing-request.ts';
import { Relay, type RelayParts } from '../../../../src/secrets/relay/relay.ts';
import { ALICE, BOB } from '../../../support/secret-records.ts';

const SECRET = 'sk-very-secret';
const NAME = 'upstream.test';

const bounds = {
  totalMs: 20_000,
  idleMs: 20_000,
  maxAnswerBytes: 65_536,
  maxConcurrent: 9,
  maxConcurrentPerUser: 9,
  maxConcurrentPerOwner: 9,
};

function relayOf(identity: TlsIdentity | undefined, change: Partial<RelayParts> = {}): Relay {
  return new Relay({
    bounds: {
      totalMs: 20_000,
      idleMs: 20_000,
      maxAnswerBytes: 65_536,
      maxConcurrent: 3,
      maxConcurrentPerUser: 2,
      maxConcurrentPerOwner: 2,
    },
    allowAddresses: ['127.0.0.1'],
    authorities: identity === undefined ? [] : [identity.cert],
    fleet: () => [],
    ownAddresses: () => [],
    resolve: async () => ['127.0.0.1'],
    now: () => 0,
    ...change,
  });
}

async function ask(relay: Relay, url: string, verb = 'GET', body: Uint8Array = new Uint8Array(0)) {
  const wanted = { verb, url, headers: [['authorization', `Bearer ${PLACEHOLDER}`] as const], body };
  const outgoing = outgoingRequest(wanted, placesOf(wanted), utf8(SECRET));
  return relay.call(outgoing, await relay.addressesOf(outgoing));
}

/** The code with which it fails; the error must not have the secret in any of its parts. */
async function failure(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof LatchkeyError)) return error === undefined ? 'none' : String(error);
  expect(error.cause).toBeUndefined();
  expect(`${error.message} ${JSON.stringify(error)} ${error.stack}`).not.toContain('sk-very');
  return error.code;
}

const withUpstream = async (
  handler: RequestListener,
  task: (upstream: Upstream, identity: TlsIdentity) => Promise<void>,
  identity = tlsIdentity([NAME, '127.0.0.1']),
) => {
  await using upstream = await startUpstream(handler, identity);
  await task(upstream, identity);
};

describe('a request to an upstream', () => {
  it('gives status, all headers and the bytes of the body (X11)', async () => {
    const bytes = Buffer.from([0, 255, 128, 10]);
    await withUpstream(
      (request, response) => {
        const seen: Buffer[] = [];
        request.on('data', (chunk: Buffer) => seen.push(chunk));
        request.on('end', () => {
          response.writeHead(418, 'odd', [
            ...['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'X-Echo', `${request.headers.authorization}`],
            ...['X-Host', `${request.headers.host}`, 'X-Body', Buffer.concat(seen).toString()],
          ]);
          response.end(bytes);
        });
      },
      async ({ port }, identity) => {
        const answer = await ask(relayOf(identity), `https://${NAME}:${port}/v1?x=1`, 'POST', utf8('hello'));
        expect(answer.status).toBe(418);
        expect([...answer.body]).toEqual([...bytes]);
        const cookies = answer.headers.filter(([name]) => name.toLowerCase() === 'set-cookie');
        expect(cookies.map(([, value]) => value)).toEqual(['a=1', 'b=2']);
        // A service that echoes its request shows the secret to the caller.
        expect(answer.headers).toContainEqual(['X-Echo', `Bearer ${SECRET}`]);
        expect(answer.headers).toContainEqual(['X-Host', `${NAME}:${port}`]);
        expect(answer.headers).toContainEqual(['X-Body', 'hello']);
      },
    );
  });

  it('shares no connection and no TLS session: the agent of the process, which may use a proxy, is not asked', async () => {
    const shared = vi.spyOn(globalAgent, 'createConnection');
    await withUpstream(
      (_request, response) => response.end(),
      async ({ port, server }, identity) => {
        const reused: boolean[] = [];
        server.on('secureConnection', (socket: TLSSocket) => reused.push(socket.isSessionReused()));
        const relay = relayOf(identity);
        for (let turn = 0; turn < 3; turn++)
          expect((await ask(relay, `https://${NAME}:${port}/`)).status).toBe(200);
        expect(reused).toEqual([false, false, false]);
      },
    );
    expect(shared).not.toHaveBeenCalled();
    shared.mockRestore();
  });

  it('follows no redirect', async () => {
    let requests = 0;
    await withUpstream(
      (_request, response) => {
        requests += 1;
        response.writeHead(302, { location: '/elsewhere' }).end();
      },
      async ({ port }, identity) => {
        expect((await ask(relayOf(identity), `https://${NAME}:${port}/`)).status).toBe(302);
        expect(requests).toBe(1);
      },
    );
  });

  it.each([
    ['another name', tlsIdentity(['other.test'])],
    ['a time that is over', tlsIdentity([NAME], Date.now() - 1000)],
  ])('sends nothing to a certificate of %s', async (_what, identity) => {
    let requests = 0;
    const handler: RequestListener = (_request, response) => {
      requests += 1;
      response.end();
    };
    await withUpstream(
      handler,
      async ({ port }) => {
        expect(await failure(ask(relayOf(identity), `https://${NAME}:${port}/`))).toBe(
          'SECRET_UPSTREAM_UNREACHABLE',
        );
        expect(requests).toBe(0);
      },
      identity,
    );
  });

  it('sends nothing to a certificate of nobody, whatever the environment says', async () => {
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      await withUpstream(
        (_request, response) => response.end(),
        async ({ port }) => {
          const promise = ask(relayOf(undefined), `https://${NAME}:${port}/`);
          expect(await failure(promise)).toBe('SECRET_UPSTREAM_UNREACHABLE');
        },
      );
    } finally {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    }
  });

  it('checks the certificate of an address, too', async () => {
    await withUpstream(
      (_request, response) => response.end('ok'),
      async ({ port }, identity) => {
        expect((await ask(relayOf(identity), `https://127.0.0.1:${port}/`)).status).toBe(200);
      },
    );
    await withUpstream(
      (_request, response) => response.end('ok'),
      async ({ port }, identity) => {
        const promise = ask(relayOf(identity), `https://127.0.0.1:${port}/`);
        expect(await failure(promise)).toBe('SECRET_UPSTREAM_UNREACHABLE');
      },
      tlsIdentity([NAME]),
    );
  });
});

describe('the address of an upstream', () => {
  it('is resolved once: a second answer of the resolver changes nothing', async () => {
    let lookups = 0;
    await withUpstream(
      (_request, response) => response.end('ok'),
      async ({ port }, identity) => {
        const resolve = async () => {
          lookups += 1;
          return lookups === 1 ? ['127.0.0.1'] : ['127.0.0.2'];
        };
        expect((await ask(relayOf(identity, { resolve }), `https://${NAME}:${port}/`)).status).toBe(200);
        expect(lookups).toBe(1);
      },
    );
  });

  it('is refused when one of many is not allowed', async () => {
    const resolve = async () => ['127.0.0.1', '169.254.169.254'];
    expect(await failure(ask(relayOf(undefined, { resolve }), `https://${NAME}/`))).toBe(
      'SECRET_ADDRESS_REFUSED',
    );
  });

  it.each([
    ...[
      'https://169.254.169.254/latest',
      'https://[::ffff:7f00:1]/',
      'https://[::1]/',
      'https://2130706434/',
    ],
    // Decimal, octal and hexadecimal, in one number or in several; what Azure and clouds answer on.
    ...[
      'https://2852039166/',
      'https://0251.0376.0251.0376/',
      'https://0xa9fea9fe/',
      'https://0251.254.43518/',
    ],
    ...['https://[::ffff:169.254.169.254]/', 'https://[::a9fe:a9fe]/', 'https://１６９.254.169.254/'],
    ...['https://0x0a.1/', 'https://168.63.129.16/', 'https://[64:ff9b::a00:1]/'],
  ])('is judged without a resolver: %s', async (url) => {
    expect(await failure(ask(relayOf(undefined), url))).toBe('SECRET_ADDRESS_REFUSED');
  });

  it('is none with port 0, for which the port of the scheme would be connected to', async () => {
    for (const url of [`https://${NAME}:0/`, `http://${NAME}:0/`])
      expect(await failure(ask(relayOf(undefined), url))).toBe('FIELD_INVALID');
  });

  it('is not one of the fleet, by address or by name', async () => {
    const fleet = () => ['127.0.0.1:3001', 'node.fleet.test:3002', '[2001:db8::1]:3003', 'gone.test:3004'];
    const resolve = async (name: string) => {
      if (name === 'gone.test') throw new Error('ENOTFOUND');
      return ['127.0.0.1'];
    };
    const relay = relayOf(undefined, { fleet, resolve });
    const judged = (port: number) => failure(relay.addressesOf({ host: NAME, port, isTls: false }));
    expect([await judged(3001), await judged(3002), await judged(3005)]).toEqual([
      'SECRET_ADDRESS_REFUSED',
      'SECRET_ADDRESS_REFUSED',
      'none',
    ]);
  });

  it('is none of this machine, unless the operator allows it', async () => {
    const resolve = async () => ['9.9.9.9'];
    const https = { host: NAME, port: 443, isTls: true };
    const judged = (change: Parameters<typeof relayOf>[1]) =>
      failure(relayOf(undefined, { resolve, ...change }).addressesOf(https));
    expect(await judged({})).toBe('none');
    expect(await judged({ ownAddresses: () => ['9.9.9.9'] })).toBe('SECRET_ADDRESS_REFUSED');
    expect(await judged({ ownAddresses: () => ['9.9.9.9'], allowAddresses: ['9.9.9.9'] })).toBe('none');
  });

  it('is one of the first of very many, which do not hold up the node', async () => {
    const many = Array.from({ length: 2_000 }, (_, at) => `2a01:2:${at.toString(16)}::1`);
    const fleet = Array.from({ length: 2_000 }, (_, at) => `[2a00:1:${at.toString(16)}::1]:1`);
    const relay = relayOf(undefined, { resolve: async () => many, fleet: () => fleet });
    // With a new block list for each pair of addresses it would take minutes.
    expect(await relay.addressesOf({ host: NAME, port: 9, isTls: false })).toEqual(many.slice(0, 32));
    const own = relayOf(undefined, { resolve: async () => many, fleet: () => ['[2A01:2:0:0::1]:9'] });
    expect(await failure(own.addressesOf({ host: NAME, port: 9, isTls: false }))).toBe(
      'SECRET_ADDRESS_REFUSED',
    );
  });

  it('may be missing', async () => {
    const none = relayOf(undefined, { resolve: async () => [] });
    expect(await failure(ask(none, `https://${NAME}/`))).toBe('SECRET_UPSTREAM_UNREACHABLE');
    const late = relayOf(undefined, {
      resolve: () => new Promise(() => undefined),
      bounds: { ...bounds, totalMs: 20 },
    });
    expect(await failure(ask(late, `https://${NAME}/`))).toBe('SECRET_UPSTREAM_UNREACHABLE');
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    // Of a server that listens on TCP.
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    expect(await failure(ask(relayOf(undefined), `https://${NAME}:${port}/`))).toBe(
      'SECRET_UPSTREAM_UNREACHABLE',
    );
  });
});

describe('a bad upstream', () => {
  it.each([
    ['never answers', () => undefined],
    ['never ends', (_request: unknown, response: Parameters<RequestListener>[1]) => void response.write('x')],
  ])('that %s is given up when it is silent', async (_what, handler) => {
    await withUpstream(handler, async ({ port }, identity) => {
      const relay = relayOf(identity, { bounds: { ...bounds, idleMs: 200 } });
      expect(await failure(ask(relay, `https://${NAME}:${port}/`))).toBe('SECRET_UPSTREAM_TIMEOUT');
    });
  });

  it('that sends byte after byte is given up when the time is over', async () => {
    const timers: NodeJS.Timeout[] = [];
    await withUpstream(
      (_request, response) => {
        timers.push(setInterval(() => response.write('x'), 20));
      },
      async ({ port }, identity) => {
        const relay = relayOf(identity, { bounds: { ...bounds, totalMs: 600 } });
        expect(await failure(ask(relay, `https://${NAME}:${port}/`))).toBe('SECRET_UPSTREAM_TIMEOUT');
      },
    );
    for (const timer of timers) clearInterval(timer);
  });

  it('that sends without end is cut off at the bound, and one at the bound is not', async () => {
    await withUpstream(
      (request, response) => {
        if (request.url === '/fits') return response.end(Buffer.alloc(65_536));
        const more = (): void => {
          if (!response.destroyed) response.write(Buffer.alloc(16_384), () => setImmediate(more));
        };
        more();
        return undefined;
      },
      async ({ port }, identity) => {
        const relay = relayOf(identity);
        expect((await ask(relay, `https://${NAME}:${port}/fits`)).body.length).toBe(65_536);
        expect(await failure(ask(relay, `https://${NAME}:${port}/`))).toBe('SECRET_ANSWER_TOO_LARGE');
      },
    );
  });

  it.each([
    [
      'closes before it answers',
      (_: unknown, response: Parameters<RequestListener>[1]) => void response.destroy(),
    ],
    [
      'closes before the end that it announced',
      (_: unknown, response: Parameters<RequestListener>[1]) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half', () => response.destroy());
      },
    ],
  ])('that %s', async (_what, handler) => {
    await withUpstream(handler, async ({ port }, identity) => {
      expect(await failure(ask(relayOf(identity), `https://${NAME}:${port}/`))).toBe(
        'SECRET_UPSTREAM_FAILED',
      );
    });
  });

  it.each([
    ['a status of text', `HTTP/1.1 ${SECRET}\r\n\r\n`],
    ['two lengths', `HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2${SECRET}\r\n\r\n`],
    ['other text', SECRET],
    ['long headers', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`],
    ['another protocol', `HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n${SECRET}`],
  ])('that does not speak HTTP (%s) shows nothing in the error', async (_what, text) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(text));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    // Of a server that listens on TCP.
    const { port } = server.address() as AddressInfo;
    expect(await failure(ask(relayOf(undefined), `http://${NAME}:${port}/`))).toBe('SECRET_UPSTREAM_FAILED');
    await new Promise((resolve) => server.close(resolve));
  });

  it.each([
    [
      'an answer in pieces of one byte',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`,
      '1\r\na\r\n',
    ],
    ['interim answers without end', '', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
  ])('that sends %s does not hold up the node', async (_what, head, piece) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write(head + piece.repeat(70_000)));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const relay = relayOf(undefined, { bounds: { ...bounds, maxAnswerBytes: 1024 * 1024, totalMs: 5_000 } });
    // Not after the deadline: both end as soon as there are too many.
    expect(await failure(ask(relay, `http://${NAME}:${port}/`))).not.toBe('SECRET_UPSTREAM_TIMEOUT');
    await new Promise((resolve) => server.close(resolve));
  });

  it('gets no second request through a body that looks like one', async () => {
    const paths: string[] = [];
    await using upstream = await startUpstream((request, response) => {
      paths.push(`${request.url}`);
      request.resume().on('end', () => response.end());
    });
    const body = utf8('0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: x\r\n\r\n');
    await ask(relayOf(undefined), `http://${NAME}:${upstream.port}/seen`, 'POST', body);
    await ask(relayOf(undefined), `http://${NAME}:${upstream.port}/seen`, 'DELETE', body);
    expect(paths).toEqual(['/seen', '/seen']);
  });

  it('is left when the node closes', async () => {
    await withUpstream(
      () => undefined,
      async ({ port, server }, identity) => {
        const relay = relayOf(identity);
        const arrived = new Promise((resolve) => server.once('request', resolve));
        const asked = failure(ask(relay, `https://${NAME}:${port}/`));
        await arrived;
        relay.close();
        expect(await asked).toBe('SECRET_UPSTREAM_FAILED');
        expect(await failure(ask(relay, `https://${NAME}:${port}/`))).toBe('SECRET_UPSTREAM_UNREACHABLE');
      },
    );
  });
});

describe('places in the relay', () => {
  it('are bounded for each caller and for all', () => {
    const relay = relayOf(undefined);
    const leave = relay.enter(ALICE);
    relay.enter(ALICE);
    expect(() => relay.enter(ALICE)).toThrow(expect.objectContaining({ code: 'SECRET_RELAY_BUSY' }));
    relay.enter(BOB);
    expect(() => relay.enter(BOB)).toThrow(expect.objectContaining({ code: 'SECRET_RELAY_BUSY' }));
    leave();
    relay.enter(BOB);
    expect(() => relay.enter(ALICE)).toThrow(expect.objectContaining({ code: 'SECRET_RELAY_BUSY' }));
  });
});
