import { expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { peekLog } from '../../../src/store/open/peek-log.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';

it('reads how far a log goes without the store key', async () => {
  const fileSystem = new SimulatedDisk();
  await fileSystem.mkdir('/data');
  const storeKey = new SecretBytes(new Uint8Array(32).fill(1));
  const store = await SealedStore.create({ fileSystem, path: '/data/store', storeKey, random: systemRandom });
  const namespace = await store.namespace('a');
  for (let number = 0; number < 20; number++) await namespace.put(`name ${number}`, new Uint8Array(5));
  const { sequence } = store.head();
  await store.close();
  expect(await peekLog(fileSystem, '/data/store')).toEqual({ sequence });
});

it('says nothing of a folder without a log', async () => {
  const fileSystem = new SimulatedDisk();
  await fileSystem.mkdir('/store');
  expect(await peekLog(fileSystem, '/store')).toEqual({});
});
