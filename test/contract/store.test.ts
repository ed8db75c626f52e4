import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';
import { storeContract } from './store-contract.ts';

const clean: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of clean.splice(0).reverse()) await step();
});

const storeKey = (): SecretBytes => new SecretBytes(new Uint8Array(32).fill(7));

storeContract('MemoryStore', async () => new MemoryStore());

storeContract('SealedStore on a simulated disk', async () => {
  const store = await SealedStore.create({
    fileSystem: new SimulatedDisk(),
    path: '/store',
    storeKey: storeKey(),
    segmentBytes: 2048,
  });
  clean.push(() => store.close());
  return store;
});

storeContract('SealedStore on a real disk', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-store-'));
  clean.push(async () => rmSync(folder, { recursive: true, force: true }));
  const store = await SealedStore.create({ path: join(folder, 'store'), storeKey: storeKey() });
  clean.push(() => store.close());
  return store;
});
