import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { decodeDecryption, encodeDecryption } from '../../../src/decryptions/decryption.ts';
import { decryptionsApp } from '../../../src/decryptions/decryptions-app.ts';
import { tryFromLenientBase64 } from '../../../src/decryptions/lenient-base64.ts';
import { parsePutBody } from '../../../src/decryptions/put-body.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { describeOnEngines } from '../../support/decryption-engines.ts';

const KEY = '01'.repeat(32);
const parse = (text: string) => parsePutBody(new TextEncoder().encode(text));
const statusOf = (text: string): number => {
  try {
    parse(text);
    return 200;
  } catch (error) {
    return error instanceof LatchkeyError ? error.status : -1;
  }
};

/** Body → status, from section 2.2 and from the order in which serde_json meets the mistakes. */
const bodies: Readonly<Record<number, readonly string[]>> = {
  200: [
    '{"value":42,"signature":"YmJiYg=="}',
    ' \n\t\r{ "signature" : "YmJiYg==" , "value" : 42 } \n',
    '[42,"YmJiYg=="]',
    '{"value":42,"signature":"YmJiYg","more":[{"a":[1e999,-0,null,"\\ud800"]},true]}',
    '{"val\\u0075e":42,"signature":"\\u0059mJiYg"}',
    '{"value":0,"signature":""}',
    `{"deep":${'['.repeat(5000)}${']'.repeat(5000)},"value":1,"signature":""}`,
  ],
  400: [
    '',
    ' ',
    '{',
    '{"value":42,"signature":"YmJiYg=="}}',
    '{"value":42,"signature":"YmJiYg=="} x',
    '{"value":42,"signature":"YmJiYg=="',
    '{"value":42 "signature":"YmJiYg=="}',
    '{"value":42,"signature":"YmJiYg==",}',
    '{"value" 42}',
    '{,"value":42}',
    '{value:42}',
    '{"value":042,"signature":""}',
    '{"value":42.,"signature":""}',
    '{"value":1e,"signature":""}',
    '{"value":-,"signature":""}',
    '{"value":+1,"signature":""}',
    '{"value":1e999,"signature":""}',
    '{"value":nul,"signature":""}',
    '{"value":42,"signature":"\\x"}',
    '{"value":42,"signature":"\\ud800"}',
    '{"value":42,"signature":"a\nb"}',
    '{"value":42,"signature":"YmJi',
    '[42,"YmJiYg==",1]',
    '[42,]',
    '[42 "YmJiYg=="]',
    "{'value':42}",
    'undefined',
    '\ufeff{"value":42,"signature":""}',
    '{"a":[1,2,"value":42}',
    '{"a":{"b"},"value":42,"signature":""}',
  ],
  422: [
    '{}',
    '[]',
    '[42]',
    'null',
    '42',
    '"text"',
    'true',
    '{"value":42}',
    '{"signature":"YmJiYg=="}',
    '{"value":42,"value":42,"signature":""}',
    '{"value":42,"signature":"","signature":""}',
    '{"value":"42","signature":""}',
    '{"value":-1,"signature":""}',
    '{"value":-0,"signature":""}',
    '{"value":42.0,"signature":""}',
    '{"value":1e3,"signature":""}',
    '{"value":18446744073709551616,"signature":""}',
    '{"value":null,"signature":""}',
    '{"value":[1],"signature":""}',
    '{"value":42,"signature":null}',
    '{"value":42,"signature":42}',
    '{"value":42,"signature":["YmJi"]}',
    // The wrong type comes before the broken end, so it decides.
    '{"value":-1,"signature":',
    '{"value":42} trailing',
  ],
};

/** Signature text → status and canonical answer (base64 0.13.0). */
const signatures: readonly (readonly [text: string, status: number, canonical?: string])[] = [
  ['YmJiYg==', 200, 'YmJiYg=='],
  ['YmJiYg=', 200, 'YmJiYg=='],
  ['YmJiYg', 200, 'YmJiYg=='],
  ['YmJiYmI=', 200, 'YmJiYmI='],
  ['YmJiYmI', 200, 'YmJiYmI='],
  ['', 200, ''],
  ['+/+/', 200, '+/+/'],
  ['YmJiY', 400],
  ['YmJiYh==', 400],
  ['-_8=', 400],
  ['YmJi Yg==', 400],
  ['YmJiYg==\\n', 400],
  ['YmJiYg===', 400],
  ['====', 400],
  ['=', 400],
  ['YmJi=', 400],
  ['YmJi==', 400],
  ['Y===', 400],
  ['Yg==Yg==', 400],
  ['YmJiYmJ=', 400],
];

describe('D11 vectors of the original', () => {
  for (const [status, texts] of Object.entries(bodies)) {
    for (const text of texts) {
      it(`D11 ${status}: ${JSON.stringify(text.slice(0, 60))}`, () => {
        expect(statusOf(text)).toBe(Number(status));
      });
    }
  }

  it.each(signatures)('D11 signature "%s" is %i', (text, status, canonical) => {
    expect(statusOf(`{"value":1,"signature":"${text}"}`)).toBe(status);
    if (canonical !== undefined) {
      expect(Buffer.from(parse(`{"value":1,"signature":"${text}"}`).signature).toString('base64')).toBe(
        canonical,
      );
    }
  });

  it('D11 bytes that are not UTF-8 are 400', () => {
    const bytes = Buffer.concat([
      Buffer.from('{"value":1,"signature":"","x":"'),
      Uint8Array.of(0xff),
      Buffer.from('"}'),
    ]);
    expect(() => parsePutBody(bytes)).toThrow(expect.objectContaining({ code: 'BODY_NOT_JSON' }));
  });

  it('D11 the stored bytes equal the bincode encoding', () => {
    const bytes = encodeDecryption({ value: 42n, signature: new TextEncoder().encode('bbbb') });
    expect(toHex(bytes)).toBe('2a00000000000000040000000000000062626262');
    expect(decodeDecryption(bytes)).toEqual({ value: 42n, signature: new TextEncoder().encode('bbbb') });
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeDecryption(bytes.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'DECRYPTION_RECORD_DAMAGED' }),
      );
    }
  });
});

describeOnEngines('over HTTP', (open) => {
  let app: ReturnType<typeof decryptionsApp>;
  beforeEach(async () => {
    app = decryptionsApp(await open({ maxExpectedOracleDelayMs: 1 }));
  });
  const put = (body: string | Uint8Array<ArrayBuffer>) =>
    app.request(`/decryption/${KEY}`, { method: 'PUT', body });

  it.each(['POST', 'PATCH', 'DELETE', 'OPTIONS'])('D11 %s on the path is 404', async (method) => {
    await put('[1,""]');
    expect((await app.request(`/decryption/${KEY}`, { method })).status).toBe(404);
  });

  it('D11 HEAD has the status of GET', async () => {
    expect((await app.request(`/decryption/${KEY}`, { method: 'HEAD' })).status).toBe(404);
    await put('[1,""]');
    const head = await app.request(`/decryption/${KEY}`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  it('D11 a body over 1 MiB is 413, a body of 1 MiB is read', async () => {
    const prefix = '{"value":1,"signature":"","x":"';
    const body = (length: number) => `${prefix}${'a'.repeat(length - prefix.length - 2)}"}`;
    expect((await put(body(1024 * 1024))).status).toBe(200);
    const larger = await put(body(1024 * 1024 + 1));
    expect(larger.status).toBe(413);
    expect(await larger.json()).toMatchObject({ code: 'BODY_TOO_LARGE' });
    const declared = await app.request(`/decryption/${KEY}`, {
      method: 'PUT',
      body: 'x',
      headers: { 'content-length': '99999999' },
    });
    expect(declared.status).toBe(413);
  });

  it('D11 a signature of nearly 1 MiB is stored and returned', async () => {
    const text = Buffer.alloc(700_000, 7).toString('base64');
    expect((await put(`{"value":1,"signature":"${text}"}`)).status).toBe(200);
    expect(await (await app.request(`/decryption/${KEY}`)).json()).toMatchObject({ signature: text });
    expect(tryFromLenientBase64('A'.repeat(1_000_001))).toBeUndefined();
  });

  it('D12 every unsigned integer of 64 bits is returned exactly', async () => {
    for (const value of [0n, 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      expect((await put(`{"value":${value},"signature":"YmI="}`)).status).toBe(200);
      expect(await (await app.request(`/decryption/${KEY}`)).text()).toBe(
        `{"value":${value},"signature":"YmI="}`,
      );
    }
  });

  it('D12 other numbers are refused and change nothing', async () => {
    await put('{"value":18446744073709551615,"signature":""}');
    for (const value of ['42.0', '-1', '1e3', '"42"', '18446744073709551616']) {
      expect((await put(`{"value":${value},"signature":""}`)).status).toBe(422);
    }
    expect(await (await app.request(`/decryption/${KEY}`)).text()).toBe(
      '{"value":18446744073709551615,"signature":""}',
    );
  });
});

describe('properties', () => {
  it('the output of JSON.stringify is read with the same meaning', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.uint8Array(),
        fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()),
        (value, bytes, more) => {
          const signature = Buffer.from(bytes).toString('base64');
          const { value: _value, signature: _signature, ...others } = more;
          const text = JSON.stringify({ ...others, signature }).replace(/^\{/, `{"value":${value},`);
          expect(parse(text)).toEqual({ value, signature: bytes });
        },
      ),
    );
  });

  it('any text gives an answer or a typed error, and text that is not JSON is refused', () => {
    const fragments = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"value"',
      '"signature"',
      '42',
      '""',
      '"',
      '\\',
      '-',
      '.',
      'e',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(fragments, { maxLength: 14 }), (parts) => {
        const text = parts.join('');
        const status = statusOf(text);
        expect([200, 400, 422]).toContain(status);
        if (status !== 200) return;
        expect(() => JSON.parse(text)).not.toThrow();
      }),
      { numRuns: 3000 },
    );
  });
});
