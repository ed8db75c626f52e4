import { Hono } from 'hono';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { DecryptionService } from '../src/decryptions/decryption-service.ts';
import { decryptionsApp } from '../src/decryptions/decryptions-app.ts';
import { noMetrics } from '../src/decryptions/metrics.ts';
import { serveApp } from '../src/decryptions/serve-app.ts';
import type { FileHandle } from '../src/disk/file-system.ts';
import { nodeFileSystem } from '../src/disk/node-file-system.ts';
import { SealedStore } from '../src/store/sealed-store.ts';
import { ANSWER, type ServerMessage, type ServerQuestion } from './decryptions-messages.ts';

const tell = (message: ServerMessage): void => void process.send?.(message);

async function main(path: string): Promise<void> {
  const store = await SealedStore.create({ path, storeKey: new SecretBytes(new Uint8Array(32).fill(1)) });
  let isRoundOpen = true;
  const service = await DecryptionService.open(store, {
    maxExpectedOracleDelayMs: 120_000,
    metrics: {
      ...noMetrics,
      lookup(outcome) {
        if (outcome !== 'woken' || !isRoundOpen) return;
        isRoundOpen = false;
        const atNs = String(process.hrtime.bigint());
        // Telling takes time that the waiter would be charged with.
        setImmediate(() => tell({ kind: 'woken', atNs }));
      },
    },
  });
  const constant = new Hono();
  constant.all('/decryption/:key', (c) => c.body(ANSWER, 200, { 'content-type': 'application/json' }));
  const relay = await Relay.open(`${path}.relay`);
  const servers = [decryptionsApp(service), constant, relay.app];
  const [ours, plain, relaying] = await Promise.all(
    servers.map((app) => serveApp(app, { address: '127.0.0.1', port: 0 })),
  );
  if (ours === undefined || plain === undefined || relaying === undefined) return;
  process.on('message', (question: ServerQuestion) => {
    if (question === 'waiting?' || question === 'waiting in relay?') {
      isRoundOpen = true;
      tell({ kind: 'waiting', count: question === 'waiting?' ? service.waiting : relay.waiting });
      return;
    }
    service.close();
    Promise.all([ours.close(0), plain.close(0), relaying.close(0)])
      .then(() => Promise.all([store.close(), relay.close()]))
      .then(() => process.disconnect())
      .catch((error: unknown) => {
        console.error(error);
        process.exitCode = 1;
        process.disconnect();
      });
  });
  tell({ kind: 'ready', url: ours.url, constantUrl: plain.url, relayUrl: relaying.url });
}

/**
 * The smallest server that wakes a waiting request after a durable write: Hono, a file, and a list of waiting
 * requests. It has no deadlines, keys or limits, seals nothing, and does not handle clients that disconnect.
 */
class Relay {
  readonly app = new Hono();
  readonly #file: FileHandle;
  #waiters: (() => void)[] = [];
  #at = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
    this.app.get('/decryption/:key', async (c) => {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
      return c.body(ANSWER, 200, { 'content-type': 'application/json' });
    });
    this.app.put('/decryption/:key', async (c) => {
      await this.#write(new Uint8Array(await c.req.arrayBuffer()));
      const atNs = String(process.hrtime.bigint());
      for (const wake of this.#waiters.splice(0)) wake();
      setImmediate(() => tell({ kind: 'woken', atNs }));
      return c.body(null, 200, { 'content-length': '0' });
    });
  }

  static async open(path: string): Promise<Relay> {
    return new Relay(await nodeFileSystem.open(path, 'create'));
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#file.write([bytes], this.#at);
    await this.#file.sync();
    this.#at += bytes.length;
  }
}

await main(process.argv[2] ?? '');
