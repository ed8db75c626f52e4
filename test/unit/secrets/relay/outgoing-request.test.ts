import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../../src/bytes/concat.ts';
import { LatchkeyError } from '../../../../src/errors/latchkey-error.ts';
import {
  outgoingRequest,
  PLACEHOLDER,
  placesOf,
  type WantedRequest,
} from '../../../../src/secrets/relay/outgoing-request.ts';
import { codeOf, thrownBy } from '../../../support/thrown.ts';

const wanted = (change: Partial<WantedRequest> = {}): WantedRequest => ({
  verb: 'POST',
  url: 'https://api.example.com/v1/chat',
  headers: [],
  body: new Uint8Array(0),
  ...change,
});

const sent = (change: Partial<WantedRequest>, value: string | Uint8Array = 'k3y') => {
  const request = wanted(change);
  return outgoingRequest(request, placesOf(request), typeof value === 'string' ? utf8(value) : value);
};

describe('the places of the placeholder', () => {
  it('are path, query, headers and body (X11)', () => {
    const request = sent({
      url: `https://api.example.com/v1/${PLACEHOLDER}/x?key=${PLACEHOLDER}&again=${PLACEHOLDER}`,
      headers: [
        ['Authorization', `Bearer ${PLACEHOLDER}`],
        ['X-Two', PLACEHOLDER],
        ['X-Two', 'plain'],
      ],
      body: utf8(`{"a":"${PLACEHOLDER}","b":"${PLACEHOLDER}"}`),
    });
    expect(request.path).toBe('/v1/k3y/x?key=k3y&again=k3y');
    expect(request.headers).toEqual([
      ['host', 'api.example.com'],
      ['Authorization', 'Bearer k3y'],
      ['X-Two', 'k3y'],
      ['X-Two', 'plain'],
      ['connection', 'close'],
      ['content-length', '21'],
    ]);
    expect(Buffer.from(request.body).toString()).toBe('{"a":"k3y","b":"k3y"}');
  });

  it('are named by headers in lower case, once each', () => {
    const headers = [
      ['X-Two', PLACEHOLDER],
      ['x-two', PLACEHOLDER],
      ['x-none', 'xxxreplace_mexxx'],
    ] as const;
    expect(placesOf(wanted({ headers }))).toMatchObject({ headers: ['x-two'], inBody: false });
    expect(placesOf(wanted({ body: utf8(`a${PLACEHOLDER}`) })).inBody).toBe(true);
  });

  it('are never scheme, host, port or the name of a header', () => {
    expect(sent({ url: `https://${PLACEHOLDER}.example.com/v1` }, 'evil').host).toBe(
      'xxxreplace_mexxx.example.com',
    );
    expect(codeOf(() => sent({ url: `https://api.example.com:${PLACEHOLDER}/v1` }))).toBe('FIELD_INVALID');
    expect(codeOf(() => sent({ url: `${PLACEHOLDER}://api.example.com/v1` }))).toBe('FIELD_INVALID');
    expect(sent({ headers: [[PLACEHOLDER, 'x']] }).headers).toContainEqual([PLACEHOLDER, 'x']);
  });
});

describe('a value', () => {
  it('cannot leave its part of the URL', () => {
    const value = '/../?a=b&c#d%2f\r\nHost: evil é"';
    const { path } = sent({ url: `https://api.example.com/v1/${PLACEHOLDER}?q=${PLACEHOLDER}` }, value);
    const encoded = '%2F..%2F%3Fa%3Db%26c%23d%252f%0D%0AHost%3A%20evil%20%C3%A9%22';
    expect(path).toBe(`/v1/${encoded}?q=${encoded}`);
  });

  it.each([
    ['..', PLACEHOLDER],
    ['.', PLACEHOLDER],
    ['.', `.${PLACEHOLDER}`],
    ['', `.${PLACEHOLDER}.`],
  ])('of %j in %s does not lead to another path', (value, segment) => {
    const url = `https://api.example.com/v1/${segment}/x`;
    expect(codeOf(() => sent({ url }, value))).toBe('SECRET_VALUE_UNUSABLE');
  });

  it.each([
    ...['k\r\nX-Admin: 1', 'k\n', 'k\r', 'k\0', 'ké', ' k', 'k ', '\tk', 'k\x7f', 'k\x1b[0m', 'k\u2028'],
  ])('of %j is not put in a header, and not told', (value) => {
    const error = thrownBy(() => sent({ headers: [['authorization', `Bearer ${PLACEHOLDER}`]] }, value));
    expect(error).toBeInstanceOf(LatchkeyError);
    expect(error).toMatchObject({ code: 'SECRET_VALUE_UNUSABLE', field: 'headers.authorization' });
    expect(JSON.stringify(error)).not.toContain('X-Admin');
  });

  it('of any bytes stands in a body', () => {
    const value = Uint8Array.from({ length: 256 }, (_, at) => at);
    const { body } = sent({ body: utf8(`<${PLACEHOLDER}>`) }, value);
    expect([...body]).toEqual([60, ...value, 62]);
  });

  it('is not searched for the placeholder, and has no patterns', () => {
    const value = `$&${PLACEHOLDER}$1`;
    expect(sent({ headers: [['a', PLACEHOLDER]] }, value).headers).toContainEqual(['a', value]);
    expect(Buffer.from(sent({ body: utf8(PLACEHOLDER) }, value).body).toString()).toBe(value);
  });

  it('is not multiplied until the memory is full', () => {
    const big = 'x'.repeat(65_536);
    expect(codeOf(() => sent({ body: utf8(PLACEHOLDER.repeat(17)) }, big))).toBe('SECRET_VALUE_UNUSABLE');
    expect(codeOf(() => sent({ headers: [['a', PLACEHOLDER]] }, 'x'.repeat(17_000)))).toBe(
      'SECRET_VALUE_UNUSABLE',
    );
    expect(codeOf(() => sent({ url: `https://api.example.com/v1/?${PLACEHOLDER}` }, big))).toBe(
      'SECRET_VALUE_UNUSABLE',
    );
  });
});

describe('a request', () => {
  it.each([
    ...['Host', 'Content-Length', 'Transfer-Encoding', 'Connection', 'Keep-Alive', 'Proxy-Connection', 'TE'],
    ...['Proxy-Authorization', 'Trailer', 'Upgrade', 'Expect', 'HTTP2-Settings', 'hOST'],
  ])('has no header %s of its caller', (name) => {
    expect(codeOf(() => placesOf(wanted({ headers: [[name, 'x']] })))).toBe('SECRET_HEADER_REFUSED');
  });

  it.each([
    ['a b', 'x'],
    ['a:', 'x'],
    ['', 'x'],
    ['a\r\nHost', 'x'],
    ['é', 'x'],
    ['a', 'x\r\nHost: evil'],
    ['a', 'x\n'],
    ['a', '\0'],
    ['a', 'é'],
    ['a', ' x'],
  ])('has no header %j: %j', (name, value) => {
    expect(codeOf(() => placesOf(wanted({ headers: [[name, value]] })))).toBe('FIELD_INVALID');
  });

  it('has bounds', () => {
    const many = Array.from({ length: 65 }, (_, at) => [`h${at}`, 'x'] as const);
    expect(codeOf(() => placesOf(wanted({ headers: many.slice(1) })))).toBe('none');
    expect(codeOf(() => placesOf(wanted({ headers: many })))).toBe('FIELD_INVALID');
    expect(codeOf(() => placesOf(wanted({ headers: [['a', 'x'.repeat(16_384)]] })))).toBe('FIELD_INVALID');
    expect(codeOf(() => placesOf(wanted({ body: new Uint8Array(131_073) })))).toBe('SECRET_TOO_LARGE');
  });

  it.each(['GET', 'HEAD'])('has no body with %s', (verb) => {
    expect(codeOf(() => placesOf(wanted({ verb, body: utf8('x') })))).toBe('FIELD_INVALID');
    const names = sent({ verb }).headers.map(([name]) => name);
    expect(names).not.toContain('content-length');
  });

  it.each([
    ['https://user:pw@api.example.com/v1', 'FIELD_INVALID'],
    ['https://user@api.example.com/v1', 'FIELD_INVALID'],
    ['https://api.example.com./v1', 'FIELD_INVALID'],
    ['https://[fe80::1%25eth0]/v1', 'FIELD_INVALID'],
    ['https://api.example.com/v1#x', 'FIELD_INVALID'],
    ['https://api.example.com:0x50/v1', 'FIELD_INVALID'],
    ['https://api.example.com:65536/v1', 'FIELD_INVALID'],
    ['ftp://api.example.com/v1', 'FIELD_INVALID'],
    ['https://256.1.1.1/v1', 'FIELD_INVALID'],
  ])('to %s is refused', (url, code) => {
    expect(codeOf(() => sent({ url }))).toBe(code);
  });

  it.each([
    ['https://2130706433/v1', '127.0.0.1', 443],
    ['https://0x7f.1/v1', '127.0.0.1', 443],
    ['https://0177.0.0.01/v1', '127.0.0.1', 443],
    ['https://127.1/v1', '127.0.0.1', 443],
    ['https://①②⑦.0.0.1/v1', '127.0.0.1', 443],
    ['https://[::FFFF:127.0.0.1]/v1', '::ffff:7f00:1', 443],
    ['https://bücher.example:8443/v1', 'xn--bcher-kva.example', 8443],
    ['http://api.example.com/v1', 'api.example.com', 80],
  ])('to %s goes to %s port %i', (url, host, port) => {
    expect(sent({ url })).toMatchObject({ host, port });
  });
});

describe('a caller who wants another verb or path than the ACL allows', () => {
  it.each([
    ...[
      '_method=DELETE',
      'a=b&_METHOD=PUT',
      'a;_method=x',
      '%5Fmethod=x',
      '.method=x',
      '+_method=x',
      '_method',
    ],
    ...['X-HTTP-Method-Override=PUT', 'x_http_method=PUT', 'x-method-override=PUT'],
  ])('cannot say so in the query with %s', (query) => {
    const url = `https://api.example.com/v1/chat?${query}`;
    expect(codeOf(() => placesOf(wanted({ url })))).toBe('SECRET_VERB_REFUSED');
  });

  it('may have other parameters', () => {
    const url = 'https://api.example.com/v1/chat?method=x&payment_method=card&a=_method';
    expect(codeOf(() => placesOf(wanted({ url })))).toBe('none');
  });

  it.each([
    ...['X-HTTP-Method-Override', 'x-http-method', 'X-Method-Override', 'X-Original-URL', 'X-Rewrite-URL'],
    ...['X_HTTP_Method_Override', 'Transfer_Encoding', 'content_length', 'Proxy_Authorization'],
  ])('cannot say so with %s', (name) => {
    expect(codeOf(() => sent({ headers: [[name, 'DELETE']] }))).toBe('SECRET_HEADER_REFUSED');
  });

  it.each(['..;', '.;x', '%2e%2e;', '..;a=b', '.%2E%3B', '%2e.;'])(
    'cannot say so with the segment %s',
    (segment) => {
      expect(codeOf(() => sent({ url: `https://api.example.com/v1/${segment}/admin` }))).toBe(
        'FIELD_INVALID',
      );
    },
  );

  it('may use parameters of other segments', () => {
    expect(sent({ url: 'https://api.example.com/v1/a;b=c/..x;y' }).path).toBe('/v1/a;b=c/..x;y');
    expect(sent({ headers: [['X_Custom', 'a']] }).headers).toContainEqual(['X_Custom', 'a']);
  });
});

describe('a value of dots before a parameter', () => {
  it.each([
    ['..', 'xxxREPLACE_MExxx;a/x'],
    ['.', 'xxxREPLACE_MExxxxxxREPLACE_MExxx;/x'],
  ])('%s is refused in %s', (value, path) => {
    const wanted = { verb: 'GET', url: `https://a.test/v1/${path}`, headers: [], body: new Uint8Array(0) };
    expect(() => outgoingRequest(wanted, placesOf(wanted), new TextEncoder().encode(value))).toThrow('place');
  });
});
