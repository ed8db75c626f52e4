import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { MAX_NAME_BYTES, MAX_VALUE_BYTES } from '../../../src/store/api/limits.ts';
import type { LogHead } from '../../../src/store/api/log-head.ts';
import { contentsOf, fingerprint } from '../../simulation/store-model.ts';
import { openStore, SimulatedStore, STORE_PATH } from '../../support/disk-store.ts';
import { containing } from '../../support/head-judge.ts';
import { secrets, victim } from './hostile-store.ts';

const one = utf8('one');
const two = utf8('two');
const manifest = `${STORE_PATH}/MANIFEST`;

describe('V1 create, read, update, delete', () => {
  it('V1 replace returns the old value, delete returns it once', async () => {
    const { store } = await SimulatedStore.create();
    const names = await store.namespace('kv');
    expect(await names.replace('a', one)).toBeUndefined();
    expect(await names.replace('a', two)).toEqual(one);
    expect(await names.get('a')).toEqual(two);
    expect(names.has('a')).toBe(true);
    expect(await names.delete('a')).toEqual(two);
    expect(await names.delete('a')).toBeUndefined();
    expect(await names.get('a')).toBeUndefined();
    expect(names.has('a')).toBe(false);
  });
});

describe('V3 the key', () => {
  it('V3 a wrong key is refused, and the right key opens afterwards', async () => {
    const store = await victim('closed');
    const { disk } = store.simulated;
    const before = disk.files();
    const wrong = new SecretBytes(systemRandom(32));
    await expect(openStore(disk, STORE_PATH, wrong)).rejects.toMatchObject({ code: 'STORE_WRONG_KEY' });
    expect(disk.files()).toEqual(before);
    const opened = await store.simulated.reopen();
    expect(fingerprint(await contentsOf(opened.store))).toBe(fingerprint(store.contents));
    await opened.store.close();
  });

  it('V3 a missing check record is refused', async () => {
    const store = await victim('closed');
    const bytes = store.simulated.disk.files().get(manifest) ?? new Uint8Array(0);
    for (const altered of [bytes.slice(0, 40), bytes.fill(0, 32, 64)]) {
      const disk = store.simulated.disk.clone();
      disk.tamper(manifest, altered);
      await expect(store.simulated.on(disk).reopen()).rejects.toMatchObject({
        code: 'STORE_KEY_CHECK_MISSING',
      });
    }
  });

  it('V9 a newer format is refused by its version, with any key', async () => {
    const store = await victim('closed');
    const { disk } = store.simulated;
    const bytes = disk.files().get(manifest) ?? new Uint8Array(0);
    disk.tamper(manifest, bytes.with(9, 3));
    await expect(store.simulated.reopen()).rejects.toMatchObject({ code: 'STORE_FORMAT_UNSUPPORTED' });
  });
});

describe('V4 sizes', () => {
  it('V4 a value of 100,000 bytes and the largest value are stored; one byte more is refused', async () => {
    const simulated = await SimulatedStore.create({ segmentBytes: 1 << 20 });
    const names = await simulated.store.namespace('kv');
    const large = systemRandom(100_000);
    await names.put('large', large);
    const largest = new Uint8Array(MAX_VALUE_BYTES).fill(7);
    await names.put('largest', largest);
    await expect(names.put('more', new Uint8Array(MAX_VALUE_BYTES + 1))).rejects.toMatchObject({
      code: 'STORE_VALUE_TOO_LARGE',
    });
    const reopened = await simulated.powerCut('lost');
    const again = await reopened.store.namespace('kv');
    expect(await again.get('large')).toEqual(large);
    expect(Buffer.compare((await again.get('largest')) ?? one, largest)).toBe(0);
    expect(again.has('more')).toBe(false);
  });

  it.each([
    ['an empty name', ''],
    ['a name over 4 KiB', 'x'.repeat(MAX_NAME_BYTES + 1)],
    ['a name over 4 KiB in bytes', 'ж'.repeat(MAX_NAME_BYTES / 2 + 1)],
    ['half a surrogate pair', 'a\ud800'],
  ])('%s is refused everywhere, and changes nothing', async (_name, name) => {
    const { store, disk } = await SimulatedStore.create();
    const names = await store.namespace('kv');
    const steps = disk.steps;
    const refused = { code: 'STORE_NAME_INVALID' };
    await expect(names.put(name, one)).rejects.toMatchObject(refused);
    await expect(names.delete(name)).rejects.toMatchObject(refused);
    await expect(store.batch([{ kind: 'put', namespace: 'kv', name, value: one }])).rejects.toMatchObject(
      refused,
    );
    expect(disk.steps).toBe(steps);
    await names.put('good', one);
    expect(names.size).toBe(1);
  });

  it('the longest name and an empty value are stored', async () => {
    const simulated = await SimulatedStore.create();
    const names = await simulated.store.namespace('kv');
    const longest = 'ж'.repeat(MAX_NAME_BYTES / 2);
    await names.put(longest, new Uint8Array(0));
    const again = await (await simulated.powerCut('lost')).store.namespace('kv');
    expect(await again.get(longest)).toEqual(new Uint8Array(0));
  });

  it('a value that is not bytes is a TypeError', async () => {
    const { store } = await SimulatedStore.create();
    const names = await store.namespace('kv');
    // What a caller without types may pass.
    await expect(names.put('a', 'text' as unknown as Uint8Array)).rejects.toBeInstanceOf(TypeError);
  });
});

describe('V5 concurrent callers', () => {
  it('V5 counters that many callers increase by compare-and-set lose no update', async () => {
    const simulated = await SimulatedStore.create({ segmentBytes: 4096 });
    const names = await simulated.store.namespace('kv');
    const raise = async (): Promise<void> => {
      for (let done = false; !done; ) {
        const before = await names.get('counter');
        const next = Uint8Array.of((before?.[0] ?? 0) + 1);
        done = await names.compareAndSet('counter', before, next);
      }
    };
    await Promise.all(Array.from({ length: 50 }, raise));
    expect(await names.get('counter')).toEqual(Uint8Array.of(50));
    const again = await (await simulated.powerCut('lost')).store.namespace('kv');
    expect(await again.get('counter')).toEqual(Uint8Array.of(50));
  });

  it('V5 concurrent replaces have one order: every value is returned exactly once', async () => {
    const { store } = await SimulatedStore.create();
    const names = await store.namespace('kv');
    const given = await Promise.all(
      Array.from({ length: 40 }, (_, index) => names.replace('a', Uint8Array.of(index))),
    );
    const last = await names.get('a');
    const seen = [...given, last].map((value) => value?.[0] ?? -1).sort((a, b) => a - b);
    expect(seen).toEqual([-1, ...Array.from({ length: 40 }, (_, index) => index)]);
  });

  it('V5 one of several concurrent deletes gets the value, and one of several concurrent putIfAbsent writes', async () => {
    const { store } = await SimulatedStore.create();
    const names = await store.namespace('kv');
    const written = await Promise.all(
      Array.from({ length: 20 }, (_, index) => names.putIfAbsent('a', Uint8Array.of(index))),
    );
    expect(written.filter(Boolean).length).toBe(1);
    const given = await Promise.all(Array.from({ length: 20 }, () => names.delete('a')));
    expect(given.filter((value) => value !== undefined).length).toBe(1);
  });

  it('a change of the caller’s buffer after put does not change the store', async () => {
    const simulated = await SimulatedStore.create();
    const names = await simulated.store.namespace('kv');
    const buffers = Array.from({ length: 30 }, (_, index) => new Uint8Array(100).fill(index + 1));
    const puts = buffers.map((buffer, index) => names.put(`name-${index}`, buffer));
    for (const buffer of buffers) buffer.fill(0);
    await Promise.all(puts);
    for (let index = 0; index < 30; index++)
      expect((await names.get(`name-${index}`))?.every((byte) => byte === index + 1)).toBe(true);
    const got = await names.get('name-3');
    got?.fill(0);
    expect((await names.get('name-3'))?.[0]).toBe(4);
  });
});

describe('V7 nothing is readable', () => {
  it('V7 names, values and keys are not readable in any file or backup', async () => {
    const simulated = await SimulatedStore.create({ segmentBytes: 1024 });
    const { store } = simulated;
    for (const [index, namespace] of secrets.namespaces.entries()) {
      const names = await store.namespace(namespace, { erasable: index === 1 });
      for (const name of secrets.names)
        for (const value of secrets.values) await names.put(name, utf8(value));
    }
    await simulated.backup('/data/backup');
    await store.compact();
    const [oldKey] = simulated.keys;
    await simulated.rotate();
    await store.close();
    const keys = [oldKey, ...simulated.keys].flatMap((key) => (key === undefined ? [] : [key.reveal()]));
    const needles = [...secrets.names, ...secrets.values, ...secrets.namespaces].map((text) =>
      Buffer.from(text),
    );
    for (const [path, bytes] of simulated.disk.files()) {
      const haystack = Buffer.from(bytes);
      for (const needle of [...needles, ...keys.map((key) => Buffer.from(key))]) {
        // Half of it would be bad enough.
        expect(haystack.includes(needle.subarray(0, Math.ceil(needle.length / 2))), path).toBe(false);
      }
    }
  });
});

describe('V8 rollback', () => {
  it('V8 a rolled-back folder is refused because of the deposited head; a newer folder is accepted', async () => {
    const simulated = await SimulatedStore.create({ segmentBytes: 1024 });
    const names = await simulated.store.namespace('kv');
    for (let index = 0; index < 10; index++) await names.put(`name-${index}`, one);
    const old = simulated.leftBy('lost', 1);
    const oldHead = simulated.store.head();
    for (let index = 0; index < 10; index++) await names.put(`name-${index}`, two);
    const head = simulated.store.head();
    const open = (disk: typeof old.disk, expected: LogHead) =>
      openStore(disk, STORE_PATH, old.keys[0] ?? new SecretBytes(one), {
        ...old.options,
        admit: containing(expected),
      });
    await expect(open(old.disk, head)).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' });
    const now = simulated.leftBy('lost', 1).disk;
    await (await open(now, head)).close();
    await (await open(now, oldHead)).close();
    const forged = { ...head, digest: new Uint8Array(32) };
    await expect(open(now, forged)).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' });
  });
});
