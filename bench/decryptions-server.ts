import { Hono } from 'hono';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { DecryptionService } from '../src/decryptions/decryption-service.ts';
import { decryptionsApp } from '../src/decryptions/decryptions-app.ts';
import { listen } from '../src/decryptions/listen.ts';
import { noMetrics } from '../src/decryptions/metrics.ts';
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
  const ours = await listen(decryptionsApp(service), { address: '127.0.0.1', port: 0 });
  const plain = await listen(constant, { address: '127.0.0.1', port: 0 });
  process.on('message', (question: ServerQuestion) => {
    if (question === 'waiting?') {
      isRoundOpen = true;
      tell({ kind: 'waiting', count: service.waiting });
      return;
    }
    service.close();
    Promise.all([ours.close(0), plain.close(0)])
      .then(() => store.close())
      .then(() => process.disconnect())
      .catch((error: unknown) => {
        console.error(error);
        process.exitCode = 1;
        process.disconnect();
      });
  });
  tell({ kind: 'ready', url: ours.url, constantUrl: plain.url });
}

await main(process.argv[2] ?? '');
