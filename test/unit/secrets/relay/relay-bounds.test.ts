import { Buffer } from 'node:buffer';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { startUpstream } from '../../../../devnet/tls-upstream.ts';
import { utf8 } from '../../../../src/bytes/concat.ts';
import { AddressRules, type Destination, parseBlock } from '../../../../src/secrets/relay/address-rules.ts';
import { resolveByNameServers } from '../../../../src/secrets/relay/name-servers.ts';
import {
  MAX_REQUEST_BODY_BYTES,
  outgoingRequest,
  PLACEHOLDER,
  placesOf,
  type WantedRequest,
} from '../../../../src/secrets/relay/outgoing-request.ts';
import { Relay } from '../../../../src/secrets/relay/relay.ts';
import { ALICE, BOB } from '../../../support/secret-records.ts';
import { codeOf } from '../../../support/thrown.ts';

const NAME = 'upstream.test';
const KIBI = 1024;

const wanted = (change: Partial<WantedRequest> = {}): WantedRequest => ({
  verb: 'POST',
  url: 'https://api.example.com/v1',
  headers: [],
  body: new Uint8Array(0),
  ...change,
});
const sent = (change: Partial<WantedRequest>, value = 'k') => {
  const request = wanted(change);
  return outgoingRequest(request, placesOf(request), utf8(value));
};

describe('the bounds of a request', () => {
  it('hold for its body', () => {
    expect(codeOf(() => placesOf(wanted({ body: new Uint8Array(MAX_REQUEST_BODY_BYTES) })))).toBe('none');
    expect(codeOf(() => placesOf(wanted({ body: new Uint8Array(MAX_REQUEST_BODY_BYTES + 1) })))).toBe(
      'SECRET_TOO_LARGE',
    );
  });

  it('hold for its headers, before and after the value is placed', () => {
    const fits = (characters: number) => [['name', 'x'.repeat(characters - 4)] as const];
    expect(codeOf(() => placesOf(wanted({ headers: fits(16 * KIBI) })))).toBe('none');
    expect(codeOf(() => placesOf(wanted({ headers: fits(16 * KIBI + 1) })))).toBe('FIELD_INVALID');
    const filled = (characters: number) =>
      codeOf(() => sent({ headers: [['name', PLACEHOLDER]] }, 'x'.repeat(characters - 4)));
    expect(filled(16 * KIBI)).toBe('none');
    expect(filled(16 * KIBI + 1)).toBe('SECRET_VALUE_UNUSABLE');
  });

  it('hold for its path and query together', () => {
    const filled = (characters: number) =>
      codeOf(() => sent({ url: `https://a.test/v1?${PLACEHOLDER}` }, 'x'.repeat(characters - '/v1?'.length)));
    expect(filled(16 * KIBI)).toBe('none');
    expect(filled(16 * KIBI + 1)).toBe('SECRET_VALUE_UNUSABLE');
  });

  it('hold for its body with the value in it', () => {
    const value = 'x'.repeat(64 * KIBI);
    const filled = (more: number) => {
      const body = utf8(PLACEHOLDER.repeat(15) + 'y'.repeat(64 * KIBI - 15 * PLACEHOLDER.length + more));
      return codeOf(() => sent({ body }, value));
    };
    // The text that a placeholder takes counts too.
    expect(filled(0)).toBe('none');
    expect(filled(1)).toBe('SECRET_VALUE_UNUSABLE');
  });
});

describe('what a request does not hold', () => {
  it('is the value in a header that may hold no such text, where it is in another place', () => {
    const request = sent({ headers: [['x-note', 'plain']], body: utf8(PLACEHOLDER) }, 'a\r\nb');
    expect(request.headers).toContainEqual(['x-note', 'plain']);
    expect(Buffer.from(request.body).toString()).toBe('a\r\nb');
  });

  it.each([
    ['POST', '0'],
    ['PUT', '0'],
    ['PATCH', '0'],
    ['DELETE', undefined],
    ['OPTIONS', undefined],
    ['GET', undefined],
    ['HEAD', undefined],
  ])('is a length with %s and no body, unless the verb has one', (verb, length) => {
    expect(new Map(sent({ verb }).headers).get('content-length')).toBe(length);
  });

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'is another length than that of its body with %s',
    (verb) => {
      const { headers } = sent({ verb, body: utf8('hello') });
      expect(headers.filter(([name]) => name === 'content-length')).toEqual([['content-length', '5']]);
    },
  );
});

const judged = (rules: AddressRules, address: string, fleet: readonly Destination[] = []): string =>
  codeOf(() => rules.judge({ address, port: 443, isTls: false }, { fleet, own: [] }));

describe('blocks of addresses', () => {
  it('may be all of a family', () => {
    expect(parseBlock('0.0.0.0/0')).toEqual({ address: '0.0.0.0', bits: 0, family: 'ipv4' });
    expect(parseBlock('::/0')).toEqual({ address: '::', bits: 0, family: 'ipv6' });
    expect(parseBlock('10.0.0.1/32')).toMatchObject({ bits: 32 });
    expect(parseBlock('::1/128')).toMatchObject({ bits: 128 });
    expect(parseBlock('10.0.0.1')).toMatchObject({ bits: 32 });
    expect(parseBlock('::1')).toMatchObject({ bits: 128 });
  });

  it.each(['localhost', '', 'fe80::1%eth0', '2606:4700::1111%eth0', '2130706433'])(
    'have no %j in them, whatever the operator allows',
    (address) => {
      const rules = new AddressRules(['0.0.0.0/0', '::/0', 'fe80::/10']);
      expect(judged(rules, address)).toBe('SECRET_ADDRESS_REFUSED');
      const fleet = [{ address: '192.0.2.1', port: 1 }];
      expect(judged(rules, address, fleet)).toBe('SECRET_ADDRESS_REFUSED');
    },
  );

  it('of IPv4 allow no address that is the same one in IPv6', () => {
    const rules = new AddressRules(['10.0.0.0/8', '::/0']);
    expect(judged(rules, '10.0.0.1')).toBe('none');
    expect(judged(rules, '::ffff:10.0.0.1')).toBe('SECRET_ADDRESS_REFUSED');
  });
});

const open: (Server | Socket)[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) {
    if ('listening' in each) await new Promise((resolve) => each.close(resolve));
    else each.destroy();
  }
});

/** A service that writes a text to each connection, once it has heard something. @returns its port. */
async function serviceOf(text: string, host = '127.0.0.1'): Promise<number> {
  const server = createServer((socket) => {
    open.unshift(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(text));
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  // Of a server that listens on TCP.
  return (server.address() as AddressInfo).port;
}

const relayOf = (address = '127.0.0.1'): Relay =>
  new Relay({
    bounds: {
      totalMs: 60_000,
      idleMs: 60_000,
      maxAnswerBytes: KIBI * KIBI,
      maxConcurrent: 3,
      maxConcurrentPerUser: 2,
      maxConcurrentPerOwner: 1,
    },
    allowAddresses: [address],
    authorities: [],
    fleet: () => [],
    ownAddresses: () => [],
    resolve: async () => [address],
    now: () => 0,
  });

async function ask(port: number, address?: string) {
  const relay = relayOf(address);
  const outgoing = sent({ verb: 'GET', url: `http://${NAME}:${port}/` });
  try {
    return await relay.call(outgoing, await relay.addressesOf(outgoing));
  } catch (error) {
    return {
      code: String(Reflect.get(Object(error), 'code')),
      observed: Reflect.get(Object(error), 'observed'),
    };
  }
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('the bounds of an answer', { timeout: 60_000 }, () => {
  it('hold for interim answers before it', async () => {
    const hint = 'HTTP/1.1 103 Early Hints\r\n\r\n';
    expect(await ask(await serviceOf(hint.repeat(16) + OK))).toMatchObject({ status: 200 });
    expect(await ask(await serviceOf(hint.repeat(17) + OK))).toEqual({
      code: 'SECRET_UPSTREAM_FAILED',
      observed: 'closed',
    });
  });

  it('hold for its pieces', async () => {
    const inPieces = (count: number) =>
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(count)}0\r\n\r\n`;
    const whole = await ask(await serviceOf(inPieces(65_536)));
    expect(whole).toMatchObject({ status: 200, body: { length: 65_536 } });
    expect(await ask(await serviceOf(inPieces(65_537)))).toMatchObject({ code: 'SECRET_ANSWER_TOO_LARGE' });
  });

  it('leave its headers as they came, all of them', async () => {
    const text = 'HTTP/1.1 204 None\r\nX-A: 1\r\nx-a: 2\r\nX-Empty:\r\n\r\n';
    expect(await ask(await serviceOf(text))).toMatchObject({
      status: 204,
      headers: [
        ['X-A', '1'],
        ['x-a', '2'],
        ['X-Empty', ''],
      ],
    });
  });
});

describe('the failure of an upstream', () => {
  it('is told by the code of the connection or of the parser', async () => {
    const port = await serviceOf('no HTTP\r\n\r\n');
    expect(await ask(port)).toEqual({
      code: 'SECRET_UPSTREAM_FAILED',
      observed: expect.stringMatching(/^HPE_/),
    });
    for (const each of open.splice(0))
      if ('listening' in each) await new Promise((resolve) => each.close(resolve));
    const refused = await ask(port);
    expect(refused).toMatchObject({ code: 'SECRET_UPSTREAM_UNREACHABLE' });
    expect(refused).toMatchObject({ observed: expect.stringMatching(/^E/) });
  });
});

const hasIpv6 = Object.values(networkInterfaces()).some((each) =>
  each?.some(({ address }) => address === '::1'),
);
it.skipIf(!hasIpv6)('an upstream may have an IPv6 address', async () => {
  expect(await ask(await serviceOf(OK, '::1'), '::1')).toMatchObject({ status: 200 });
});

describe('places with secrets of an owner', () => {
  it('are bounded, whoever calls', () => {
    const relay = relayOf();
    const leave = relay.enterFor(ALICE);
    expect(codeOf(() => relay.enterFor(ALICE))).toBe('SECRET_RELAY_BUSY');
    expect(codeOf(() => relay.enterFor(BOB))).toBe('none');
    leave();
    expect(codeOf(() => relay.enterFor(ALICE))).toBe('none');
  });
});

it('the name servers of the system are asked where no others are given', async () => {
  expect(await resolveByNameServers({ answerMs: 10 })('name.invalid')).toEqual(expect.any(Array));
});

it('a service that closes after it heard the request is told as such', async () => {
  await using upstream = await startUpstream((_request, response) => void response.destroy());
  expect(await ask(upstream.port)).toEqual({ code: 'SECRET_UPSTREAM_FAILED', observed: 'ECONNRESET' });
});
