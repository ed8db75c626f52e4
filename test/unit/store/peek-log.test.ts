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

it('passes over compacted segments, which hold the ordinals of old records', async () => {
  const fileSystem = new SimulatedDisk();
  await fileSystem.mkdir('/data');
  const storeKey = new SecretBytes(new Uint8Array(32).fill(1));
  const options = { fileSystem, path: '/data/store', storeKey, random: systemRandom };
  const store = await SealedStore.create({ ...options, compaction: 'manual' });
  const namespace = await store.namespace('a');
  for (const value of [1, 2, 3]) {
    for (let number = 0; number < 20; number++) await namespace.put(`name ${number}`, new Uint8Array(value));
  }
  await store.compact();
  const afterCompaction = store.head().sequence;
  expect((await peekLog(fileSystem, '/data/store')).sequence).toBe(afterCompaction);
  await namespace.put('last', new Uint8Array(1));
  const { sequence } = store.head();
  await store.close();
  expect(sequence).toBeGreaterThan(afterCompaction);
  expect((await peekLog(fileSystem, '/data/store')).sequence).toBe(sequence);
});

it('knows how far the log went when its newest segment is still empty', async () => {
  const fileSystem = new SimulatedDisk();
  await fileSystem.mkdir('/data');
  const storeKey = new SecretBytes(new Uint8Array(32).fill(1));
  const options = { fileSystem, path: '/data/store', storeKey, random: systemRandom };
  const store = await SealedStore.create({ ...options, compaction: 'manual' });
  const namespace = await store.namespace('a');
  for (let number = 0; number < 20; number++) await namespace.put('name', new Uint8Array(number));
  await store.compact();
  const { sequence } = store.head();
  expect(await peekLog(fileSystem, '/data/store')).toEqual({ sequence });
  await store.close();
});

it('says nothing of a folder without a log', async () => {
  const fileSystem = new SimulatedDisk();
  await fileSystem.mkdir('/store');
  expect(await peekLog(fileSystem, '/store')).toEqual({});
});

it('stops at bytes that are no frame, which a host can write at the end of a segment', async () => {
  const fileSystem = new SimulatedDisk();
  await fileSystem.mkdir('/data');
  const storeKey = new SecretBytes(new Uint8Array(32).fill(1));
  const options = { fileSystem, path: '/data/store', storeKey, random: systemRandom, roomBytes: 0 };
  const store = await SealedStore.create(options);
  await (await store.namespace('a')).put('name', new Uint8Array(1));
  const { sequence } = store.head();
  await store.close();
  const [segment] = [...fileSystem.files().keys()].filter((name) => name.includes('segment')).sort();
  if (segment === undefined) return expect.fail('there is a segment');
  const bytes = fileSystem.files().get(segment) ?? new Uint8Array(0);
  fileSystem.tamper(segment, Buffer.concat([bytes, Buffer.alloc(200, 0x41)]));
  expect(await peekLog(fileSystem, '/data/store')).toEqual({ sequence });
});
