import { readdir, readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import {
  DecryptionService,
  type DecryptionServiceOptions,
} from '../../src/decryptions/decryption-service.ts';
import { decryptionsApp } from '../../src/decryptions/decryptions-app.ts';
import { type ServedApp, serveApp } from '../../src/decryptions/serve-app.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { tempFolder } from '../support/temp-folder.ts';

const KEY = 'a1'.repeat(32);
const GOOD = '{"value":18446744073709551615,"signature":"YmJiYg=="}';

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('decryptions over HTTP, on a sealed store on the disk', () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let store: SealedStore;
  let service: DecryptionService;
  let listening: ServedApp;

  const key = (): SecretBytes => new SecretBytes(new Uint8Array(32).fill(3));
  async function start(options: DecryptionServiceOptions = {}): Promise<void> {
    // Longer than any test: on a busy machine it takes more than the default until all wait.
    service = await DecryptionService.open(store, { maxExpectedOracleDelayMs: 600_000, ...options });
    listening = await serveApp(decryptionsApp(service), { address: '127.0.0.1', port: 0 });
  }
  const put = (text: string): Promise<Response> =>
    fetch(`${listening.url}/decryption/${KEY}`, { method: 'PUT', body: text });

  beforeEach(async () => {
    folder = await tempFolder();
    store = await SealedStore.create({ path: join(folder.path, 'store'), storeKey: key() });
  });
  afterEach(async () => {
    service.close();
    await listening.close(100);
    await store.close();
    await folder[Symbol.asyncDispose]();
  });

  it('D13 a waiting GET is answered by a later PUT', async () => {
    await start();
    const waiting = fetch(`${listening.url}/decryption/${KEY}`);
    await until(() => service.waiting === 1);
    expect((await put(GOOD)).status).toBe(200);
    expect(await (await waiting).text()).toBe(GOOD);
    expect(service.waiting).toBe(0);
  });

  it('D14 one PUT wakes 1,000 waiters on one key', async () => {
    await start();
    const agent = new Agent({ maxSockets: 2000 });
    const waiting = Array.from({ length: 1000 }, () => getBody(`${listening.url}/decryption/${KEY}`, agent));
    await until(() => service.waiting === 1000);
    const wokenAt = performance.now();
    expect((await put(GOOD)).status).toBe(200);
    const bodies = await Promise.all(waiting);
    console.log(
      `D14 1,000 waiters answered ${(performance.now() - wokenAt).toFixed(0)} ms after the PUT was sent`,
    );
    expect(new Set(bodies)).toEqual(new Set([GOOD]));
    agent.destroy();
  });

  it('D15 timeout, then PUT, then GET', async () => {
    await start({ maxExpectedOracleDelayMs: 20 });
    expect((await fetch(`${listening.url}/decryption/${KEY}`)).status).toBe(404);
    await put(GOOD);
    expect(await (await fetch(`${listening.url}/decryption/${KEY}`)).text()).toBe(GOOD);
  });

  it('D19 a client that hangs up releases its waiter', async () => {
    await start();
    const leaver = new AbortController();
    const leaving = fetch(`${listening.url}/decryption/${KEY}`, { signal: leaver.signal }).catch(
      () => 'left',
    );
    const staying = fetch(`${listening.url}/decryption/${KEY}`);
    await until(() => service.waiting === 2);
    leaver.abort();
    expect(await leaving).toBe('left');
    await until(() => service.waiting === 1);
    await put(GOOD);
    expect((await staying).status).toBe(200);
  });

  it('D18 a GET above the limit of waiters gets 503 with Retry-After', async () => {
    await start({ maxWaiters: 1 });
    const waiting = fetch(`${listening.url}/decryption/${KEY}`);
    await until(() => service.waiting === 1);
    const refused = await fetch(`${listening.url}/decryption/${KEY}`);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    await put(GOOD);
    expect((await waiting).status).toBe(200);
  });

  it('D11 a chunked body is read up to the limit, and no further', async () => {
    await start();
    const chunked = async (chunks: number): Promise<number> =>
      new Promise((resolve, reject) => {
        const sending = request(`${listening.url}/decryption/${KEY}`, { method: 'PUT' }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        sending.on('error', reject);
        sending.write('{"value":1,"signature":"","x":"');
        for (let chunk = 0; chunk < chunks; chunk += 1) sending.write('a'.repeat(1000));
        sending.end('"}');
      });
    expect(await chunked(10)).toBe(200);
    expect(await chunked(1100)).toBe(413);
  });

  it('D20 acknowledged writes exist after reopening, and the files contain no readable part of them', async () => {
    await start();
    await put(GOOD);
    service.close();
    await listening.close(100);
    await store.close();
    for (const name of await readdir(join(folder.path, 'store'))) {
      const bytes = await readFile(join(folder.path, 'store', name));
      expect([
        bytes.includes(KEY),
        bytes.includes(Buffer.from(KEY, 'hex')),
        bytes.includes('decryptions'),
      ]).toEqual([false, false, false]);
    }
    store = await SealedStore.open({ path: join(folder.path, 'store'), storeKey: key() });
    await start();
    expect(await (await fetch(`${listening.url}/decryption/${KEY}`)).text()).toBe(GOOD);
  });

  it('closing answers waiting requests with 503', async () => {
    await start();
    const waiting = fetch(`${listening.url}/decryption/${KEY}`);
    await until(() => service.waiting === 1);
    service.close();
    expect((await waiting).status).toBe(503);
  });
});

function getBody(url: string, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    });
    asking.on('error', reject);
    asking.end();
  });
}
