import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FencedStore } from '../../src/boot/node/fenced-store.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { listen } from '../../src/http/listener.ts';
import { agentApp } from '../../src/node/agent.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { tempFolder } from '../support/temp-folder.ts';

const run = promisify(execFile);
const storeKey = (): SecretBytes => new SecretBytes(new Uint8Array(32).fill(5));
const RECORDS = 20;
const RECORD_BYTES = 1024 * 1024;

let folder: Awaited<ReturnType<typeof tempFolder>>;
let store: SealedStore;
let agent: Awaited<ReturnType<typeof listen>>;
const at = (name: string): string => join(folder.path, name);

beforeEach(async () => {
  folder = await tempFolder();
  store = await SealedStore.create({ path: at('store'), storeKey: storeKey() });
  const records = await store.namespace('app/big');
  for (let index = 0; index < RECORDS; index += 1)
    await records.put(`record ${index}`, systemRandom(RECORD_BYTES));
  const fenced = new FencedStore(store, true);
  const app = agentApp(
    {
      log: () => undefined,
      metrics: new Metrics(),
      random: systemRandom,
      now: () => Date.now(),
      deadlineMs: 20_000,
    },
    {
      store: () => fenced,
      drain: () => {
        throw new TypeError('not asked for here');
      },
      rotation: () => {
        throw new TypeError('not asked for here');
      },
      audit: () => {
        throw new TypeError('not asked for here');
      },
      fleet: () => undefined,
      custody: () => {
        throw new TypeError('not asked for here');
      },
      rollback: () => {
        throw new TypeError('not asked for here');
      },
      status: () => ({}),
      transit: false,
    },
  );
  agent = await listen(app.fetch, { socketPath: at('agent.sock') });
});
afterEach(async () => {
  await agent.close(100);
  await store.close();
  await folder[Symbol.asyncDispose]();
});

const curl = (file: string) =>
  run('curl', ['-sS', '--fail', '--unix-socket', at('agent.sock'), 'http://localhost/backup', '-o', file]);

it('R5 curl takes a backup of 20 MB from the socket while the store is written, and it restores', async () => {
  const records = await store.namespace('app/small');
  const backup = curl(at('backup'));
  for (let index = 0; index < 20; index += 1) await records.put(`record ${index}`, Uint8Array.of(index));
  await backup;
  await SealedStore.restore({
    path: at('restored'),
    storeKey: storeKey(),
    source: createReadStream(at('backup')),
  });
  await using restored = await SealedStore.open({ path: at('restored'), storeKey: storeKey() });
  const found = await restored.namespace('app/big');
  expect(found.size).toBe(RECORDS);
  for await (const [name, value] of (await store.namespace('app/big')).entries())
    expect(Buffer.compare((await found.get(name)) ?? Buffer.alloc(0), value)).toBe(0);
});

it('R5 a client that hangs up ends its backup, and another may follow', async () => {
  await new Promise<void>((resolve, reject) => {
    const asked = request({ socketPath: at('agent.sock'), path: '/backup' }, (response) => {
      response.once('data', () => {
        response.destroy();
        resolve();
      });
    });
    asked.on('error', reject);
    asked.end();
  });
  await expect
    .poll(
      () =>
        curl(at('again')).then(
          () => 'done',
          () => 'busy',
        ),
      { timeout: 10_000 },
    )
    .toBe('done');
});
