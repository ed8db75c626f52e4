import { readdir, readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import {
  DecryptionService,
  type DecryptionServiceOptions,
} from '../../src/decryptions/decryption-service.ts';
import type { DecryptionTable } from '../../src/decryptions/decryption-table.ts';
import { decryptionsApp } from '../../src/decryptions/decryptions-app.ts';
import { EtcdTable } from '../../src/decryptions/etcd/etcd-table.ts';
import { type ServedApp, serveApp } from '../../src/decryptions/serve-app.ts';
import { StoreTable } from '../../src/decryptions/store-table.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { newPrefix } from '../support/decryption-engines.ts';
import { type EtcdCluster, hasEtcd, startEtcd } from '../support/etcd.ts';
import { tempFolder } from '../support/temp-folder.ts';

const KEY = 'a1'.repeat(32);
const GOOD = '{"value":18446744073709551615,"signature":"YmJiYg=="}';

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** The table of one engine, which a test may close and open again. */
interface Engine {
  open(): Promise<DecryptionTable>;
  close(): Promise<void>;
}

async function storeEngine(path: string): Promise<Engine> {
  const place = () => ({ path, storeKey: new SecretBytes(new Uint8Array(32).fill(3)) });
  let store = await SealedStore.create(place());
  let isOpen = true;
  return {
    async open() {
      if (!isOpen) store = await SealedStore.open(place());
      isOpen = true;
      return StoreTable.open(store);
    },
    async close() {
      isOpen = false;
      await store.close();
    },
  };
}

function etcdEngine(endpoints: readonly string[]): Engine {
  const prefix = newPrefix();
  let table: EtcdTable | undefined;
  return {
    async open() {
      table = await EtcdTable.open({ endpoints, prefix });
      return table;
    },
    close: async () => table?.close(),
  };
}

describe.each([
  { engine: 'store', isHere: true },
  { engine: 'etcd', isHere: hasEtcd },
])('decryptions over HTTP ($engine)', ({ engine: name, isHere }) => {
  let cluster: EtcdCluster | undefined;
  beforeAll(async () => {
    if (name === 'etcd' && isHere) cluster = await startEtcd();
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let engine: Engine;
  let service: DecryptionService;
  let listening: ServedApp;

  async function start(options: DecryptionServiceOptions = {}): Promise<void> {
    // Longer than any test: on a busy machine it takes more than the default until all wait.
    service = DecryptionService.on(await engine.open(), { maxExpectedOracleDelayMs: 600_000, ...options });
    listening = await serveApp(decryptionsApp(service), { address: '127.0.0.1', port: 0 });
  }
  const put = (text: string): Promise<Response> =>
    fetch(`${listening.url}/decryption/${KEY}`, { method: 'PUT', body: text });

  beforeEach(async ({ skip }) => {
    if (!isHere) skip('etcd is not installed');
    folder = await tempFolder();
    engine =
      cluster === undefined ? await storeEngine(join(folder.path, 'store')) : etcdEngine(cluster.endpoints);
  });
  afterEach(async () => {
    if (!isHere) return;
    service.close();
    await listening.close(100);
    await engine.close();
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

  it('D20 acknowledged writes exist after reopening; the files of a store contain no readable part of them', async () => {
    await start();
    await put(GOOD);
    service.close();
    await listening.close(100);
    await engine.close();
    const files = name === 'store' ? await readdir(join(folder.path, 'store')) : [];
    for (const file of files) {
      const bytes = await readFile(join(folder.path, 'store', file));
      expect([
        bytes.includes(KEY),
        bytes.includes(Buffer.from(KEY, 'hex')),
        bytes.includes('decryptions'),
      ]).toEqual([false, false, false]);
    }
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
