import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Listener } from '../../../src/http/listener.ts';
import { pageApp } from '../../../src/http/page-app.ts';
import { backedPage } from '../../support/page-samples.ts';
import { pageMiddleware, servePage } from '../../support/page-server.ts';

const paths = ['/', '/app.js', '/style.css', '/icon.svg', '/data.json', '/fleet.json'];

describe('the listener of the status page', () => {
  let listener: Listener;
  beforeAll(async () => {
    listener = await servePage(() => backedPage);
  });
  afterAll(() => listener.close(0));

  /** Sends a request as it is written. @returns the status line and everything after it. */
  const raw = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(listener.port, '127.0.0.1');
      let answer = '';
      socket.on('data', (data) => {
        answer += data;
      });
      socket.on('end', () => resolve(answer));
      socket.on('error', reject);
      socket.write(text);
    });
  const withHost = (host: string, path = '/data.json') =>
    raw(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

  it.each(paths)('%s comes with every header that keeps a page apart, and without a cookie', async (path) => {
    const { status, headers } = await fetch(`${listener.url}${path}`);
    expect(status).toBe(200);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy.split('; ').sort()).toEqual([
      "base-uri 'none'",
      "connect-src 'self'",
      "default-src 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "img-src 'self'",
      "require-trusted-types-for 'script'",
      "script-src 'self'",
      "style-src 'self'",
      "trusted-types 'none'",
    ]);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': expect.stringContaining('camera=()'),
      'cache-control': 'no-store',
    });
    expect(headers.get('set-cookie')).toBeNull();
    expect(headers.get('access-control-allow-origin')).toBeNull();
  });

  it('the headers are on errors too', async () => {
    const { status, headers } = await fetch(`${listener.url}/none`);
    expect(status).toBe(404);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
    '%s changes nothing: it is refused',
    async (method) => {
      for (const path of paths) {
        const { status } = await fetch(`${listener.url}${path}`, { method });
        expect([404, 405]).toContain(status);
      }
    },
  );

  it.each(['localhost', 'LOCALHOST:9302', '127.0.0.1:1', '[::1]:9302'])(
    'is served under %s',
    async (host) => {
      expect(await withHost(host)).toMatch(/^HTTP\/1.1 200 /);
    },
  );

  it.each([
    'evil.example',
    'evil.example:9302',
    'localhost.evil.example',
    'localhost:9302.evil.example',
    '127.0.0.1.nip.io',
    'user@localhost',
    'localhost:',
    '0.0.0.0',
    '',
  ])('is not served under %j: the name may point here for a moment only', async (host) => {
    for (const path of paths) {
      const answer = await withHost(host, path);
      expect(answer).toMatch(/^HTTP\/1.1 4\d\d /);
      expect(answer).not.toContain(backedPage.status.accountId);
    }
  });

  it('an absolute request target does not stand in for the name', async () => {
    expect(await withHost('evil.example', 'http://localhost/data.json')).toMatch(/^HTTP\/1.1 4\d\d /);
    expect(await raw('GET /data.json HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 4\d\d /);
  });

  it('a name of the configuration is allowed, with any port', async () => {
    const data = async () => backedPage;
    const fleet = () => ({ isAsking: false, nodes: [], order: [] });
    const app = await pageApp({ hostNames: ['Node.Example'], data, fleet }, pageMiddleware());
    const ask = (host: string) => app.request('/data.json', { headers: { host } });
    expect((await ask('node.example:8443')).status).toBe(200);
    expect(await (await ask('other.example')).json()).toMatchObject({ code: 'HOST_REFUSED' });
  });

  it('the fleet is not asked because another website wants it: the request of another page is refused', async () => {
    let rounds = 0;
    const data = async () => backedPage;
    const fleet = () => {
      rounds++;
      return { isAsking: false, nodes: [], order: [] };
    };
    const app = await pageApp({ hostNames: [], data, fleet }, pageMiddleware());
    const ask = (headers: Record<string, string>) =>
      app.request('/fleet.json', { headers: { host: 'localhost', ...headers } });
    for (const site of ['cross-site', 'same-site', '', 'other', 'Same-Origin, cross-site'])
      expect(await (await ask({ 'sec-fetch-site': site })).json()).toMatchObject({ code: 'HOST_REFUSED' });
    expect(rounds).toBe(0);
    for (const headers of [{}, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }])
      expect((await ask(headers)).status).toBe(200);
    expect(rounds).toBe(3);
  });

  it('the page names no place outside of itself', async () => {
    for (const path of ['/', '/style.css', '/icon.svg']) {
      const text = await (await fetch(`${listener.url}${path}`)).text();
      expect(text.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|\/\/[a-z]/i);
    }
    // `on…` attributes and inline code would need a weaker policy.
    expect(await (await fetch(listener.url)).text()).not.toMatch(/<script>|\son\w+=|style=/);
  });
});
