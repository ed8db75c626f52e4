import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DecryptionService } from '../../src/decryptions/decryption-service.ts';
import { decryptionsApp } from '../../src/decryptions/decryptions-app.ts';
import { type ServedApp, serveApp } from '../../src/decryptions/serve-app.ts';
import { describeOnEngines } from '../support/decryption-engines.ts';

const KEY = 'Ab'.repeat(32);
const PATH = `/decryption/${KEY}`;
const GOOD = '{"value":9007199254740993,"signature":"YmJiYg"}';
const ANSWER = '{"value":9007199254740993,"signature":"YmJiYg=="}';

let service: DecryptionService;
let listening: ServedApp;

interface Reply {
  readonly status: number;
  /** Headers with lower-case names, except `date` and the headers about the connection. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends bytes as they are, and reads to the end of the connection: no client's help, and no client's correction. */
function exchange(head: readonly string[], body: string | Uint8Array = ''): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const socket = connect(listening.port, '127.0.0.1');
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    socket.on('error', reject);
    socket.on('end', () => resolve(parseReply(Buffer.concat(parts).toString('latin1'))));
    socket.write(`${[...head, 'host: a', 'connection: close'].join('\r\n')}\r\n\r\n`);
    socket.write(body);
  });
}

function parseReply(text: string): Reply {
  const end = text.indexOf('\r\n\r\n');
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = Object.fromEntries(
    lines
      .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)])
      .filter(([name = '']) => !['date', 'connection', 'keep-alive'].includes(name)),
  );
  return { status: Number(first.split(' ')[1]), headers, body: text.slice(end + 4) };
}

const request = (method: string, path: string, body: string | Uint8Array = '', headers: string[] = []) => {
  const length = Buffer.byteLength(body);
  const lengths = method === 'GET' || method === 'HEAD' ? [] : [`content-length: ${length}`];
  return exchange([`${method} ${path} HTTP/1.1`, ...lengths, ...headers], body);
};

const tooLong = `{"value":1,"signature":"","x":"${'a'.repeat(1024 * 1024)}"}`;
const invalidUtf8 = Buffer.from('{"value":1,"signature":"","x":"\xff"}', 'latin1');

describeOnEngines('on a bare socket', (open) => {
  beforeEach(async () => {
    service = await open({ maxExpectedOracleDelayMs: 2 });
    listening = await serveApp(decryptionsApp(service), { address: '127.0.0.1', port: 0 });
  });
  afterEach(async () => {
    service.close();
    await listening.close(100);
  });

  describe('D11 successes, byte for byte', () => {
    it('D11 PUT: an empty body without a content type', async () => {
      expect(await request('PUT', PATH, GOOD)).toEqual({
        status: 200,
        headers: { 'content-length': '0' },
        body: '',
      });
    });

    it('D11 GET: JSON without a character set, with its length, a plain integer and canonical padding', async () => {
      await request('PUT', PATH, GOOD);
      for (const path of [PATH, PATH.replaceAll('A', 'a'), `/decryption/${KEY.toUpperCase()}`, `${PATH}?x=1`])
        expect(await request('GET', path)).toEqual({
          status: 200,
          headers: { 'content-type': 'application/json', 'content-length': `${ANSWER.length}` },
          body: ANSWER,
        });
    });

    it('D11 HEAD: the content type of GET, no body, and 404 for a missing result', async () => {
      expect((await request('HEAD', PATH)).status).toBe(404);
      await request('PUT', PATH, GOOD);
      const reply = await request('HEAD', PATH);
      expect([reply.status, reply.headers['content-type'], reply.body]).toEqual([
        200,
        'application/json',
        '',
      ]);
    });

    it.each([
      [],
      ['content-type: text/plain'],
      ['content-type: application/json; charset=x'],
      ['content-type: ;'],
    ])('D11 PUT accepts any content type, and none: %s', async (...headers) => {
      expect((await request('PUT', PATH, GOOD, headers as string[])).status).toBe(200);
    });

    it('D11 Expect: 100-continue and a percent-encoded key change nothing in the answer', async () => {
      const first = await request('PUT', PATH, GOOD, ['expect: 100-continue']);
      expect([100, 200]).toContain(first.status);
      const encoded = `/decryption/%41${KEY.slice(1)}`;
      expect((await request('GET', encoded)).body).toBe(ANSWER);
    });
  });

  describe('D11 several mistakes in one request: the one that is reported', () => {
    it.each<[why: string, method: string, path: string, body: string | Uint8Array, status: number]>([
      // The route comes first: Rocket forwards what its guards refuse, and reads no body for it.
      ['key too short and broken JSON', 'PUT', '/decryption/abcd', '{', 404],
      ['key not hex and a body over the limit', 'PUT', `/decryption/${'g'.repeat(64)}`, tooLong, 404],
      ['another method and a bad key', 'POST', '/decryption/abcd', GOOD, 404],
      ['another method and a broken body', 'POST', PATH, '{', 404],
      ['another path and a broken body', 'PUT', '/decryptions', '{', 404],
      ['a segment too many', 'PUT', `${PATH}/x`, GOOD, 404],
      ['a trailing slash', 'GET', `${PATH}/`, '', 404],
      ['a key of 65 digits', 'GET', `${PATH}0`, '', 404],
      ['an empty key', 'GET', '/decryption/', '', 404],
      ['OPTIONS', 'OPTIONS', PATH, '', 404],
      ['DELETE, which the original does not have', 'DELETE', PATH, '', 404],
      // Then the size, before anything is parsed.
      ['over the limit and broken JSON', 'PUT', PATH, `{${tooLong}`, 413],
      ['over the limit and not UTF-8', 'PUT', PATH, Buffer.concat([invalidUtf8, Buffer.from(tooLong)]), 413],
      // Then UTF-8, before JSON: the whole body is text first.
      [
        'not UTF-8, and a shape that would be 422',
        'PUT',
        PATH,
        Buffer.from('{"value":"\xff"}', 'latin1'),
        400,
      ],
      ['not UTF-8 behind a shape that would be 422', 'PUT', PATH, Buffer.from('[] \xff', 'latin1'), 400],
      // Then JSON, from left to right: the first mistake of any kind counts.
      ['wrong type, then broken', 'PUT', PATH, '{"value":-1,"signature":', 422],
      ['broken, then wrong type', 'PUT', PATH, '{"value":042,"signature":1}', 400],
      ['wrong type, then trailing characters', 'PUT', PATH, '{"value":"1","signature":""} x', 422],
      ['member missing, then trailing characters', 'PUT', PATH, '{"value":1} x', 422],
      ['member missing, but the end is missing as well', 'PUT', PATH, '{"value":1', 400],
      ['member twice, then broken', 'PUT', PATH, '{"value":1,"value":2', 422],
      [
        'member twice, the second of a wrong type',
        'PUT',
        PATH,
        '{"value":1,"value":"2","signature":""}',
        422,
      ],
      ['array too short, and open', 'PUT', PATH, '[1', 400],
      ['array too short, then trailing characters', 'PUT', PATH, '[1] x', 422],
      ['array too long', 'PUT', PATH, '[1,"",3]', 400],
      [
        'number out of range for JSON, and of the wrong kind',
        'PUT',
        PATH,
        '{"value":-1e999,"signature":""}',
        400,
      ],
      ['an unknown member that is broken, then a missing one', 'PUT', PATH, '{"x":tru,"value":1}', 400],
      // Base64 comes last: the original decodes it when the JSON is whole.
      ['bad base64 and a missing member', 'PUT', PATH, '{"signature":"!"}', 422],
      ['bad base64 and a value of the wrong type', 'PUT', PATH, '{"signature":"!","value":1.5}', 422],
      ['bad base64 and trailing characters', 'PUT', PATH, '{"value":1,"signature":"!"} x', 400],
      ['bad base64 alone', 'PUT', PATH, '{"value":1,"signature":"!"}', 400],
    ])('D11 %s: %s %s', async (_why, method, path, body, status) => {
      const reply = await request(method, path, body);
      expect(reply.status).toBe(status);
      expect(reply.headers['content-type']).toBe('application/problem+json');
      // In every case nothing was stored.
      expect(await service.size()).toBe(0);
    });

    it('D11 bad base64 in broken JSON is reported as broken JSON', async () => {
      const codeOf = async (body: string) => JSON.parse((await request('PUT', PATH, body)).body).code;
      expect(await codeOf('{"value":1,"signature":"!"} x')).toBe('BODY_NOT_JSON');
      expect(await codeOf('{"value":1,"signature":"!"}')).toBe('DECRYPTION_SIGNATURE_INVALID');
    });
  });
});
