import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isServerEndpoint, MAX_ENDPOINT_BYTES } from '../../../src/chain/endpoint.ts';

describe('registered endpoints', () => {
  it.each([
    '127.0.0.1:3001',
    'localhost:1',
    'tss-1.example.org:65535',
    '[::1]:8080',
    '[2001:db8::1]:443',
    'xn--bcher-kva.example:80',
  ])('accept %s', (endpoint) => {
    expect(isServerEndpoint(endpoint)).toBe(true);
  });

  it.each([
    '',
    'host',
    ':80',
    'host:',
    'host:0',
    'host:080',
    'host:65536',
    'host:99999999',
    'http://host:80',
    'host:80/path',
    'user@host:80',
    'user:pass@host:80',
    'host:80?x=1',
    'host:80#x',
    'ho st:80',
    'host:80\n',
    '-host:80',
    'host..example:80',
    '256.1.1.1:80',
    '1.2.3:80',
    '127.1:80',
    '0x7f000001:80',
    '2130706433:80',
    '[::1:80',
    '[not-ip]:80',
    '[:::::]:80',
    '::1:80',
    'höst:80',
    `${'a'.repeat(60)}.${'b'.repeat(60)}:80`,
  ])('refuse %j', (endpoint) => {
    expect(isServerEndpoint(endpoint)).toBe(false);
  });

  it('have the same host and port in the URL parser', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.tuple(fc.domain(), fc.nat(70_000)).map(([host, port]) => `${host}:${port}`),
        ),
        (text) => {
          if (!isServerEndpoint(text)) return;
          const url = new URL(`http://${text}/path`);
          const port = url.port === '' ? '80' : url.port;
          expect(`${url.hostname}:${port}`).toBe(text.toLowerCase());
          expect([url.username, url.password, url.pathname, url.search]).toEqual(['', '', '/path', '']);
          expect(text.length).toBeLessThanOrEqual(MAX_ENDPOINT_BYTES);
        },
      ),
    );
  });
});
