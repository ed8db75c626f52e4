import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { BatchOperation } from '../../../src/store/api/store-api.ts';
import { passwordFromFile, wrapStoreKey } from '../../../src/store/keys/password.ts';
import { readStoreHeader } from '../../../src/store/keys/store-header.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { detachedBytes, kindsOfBytes } from '../../support/kinds-of-bytes.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { STORE_PATH, storeOptions } from '../../support/store-on-disk.ts';

const plain = (byte: number, length = 32) => new Uint8Array(length).fill(byte);

describe.each(kindsOfBytes)('bytes of a caller given as $kind', ({ make }) => {
  const bytesOf = (byte: number, length = 32) => make(plain(byte, length));

  it('a store key is not changed by create, open, rotation and restore', async () => {
    const disk = new SimulatedDisk();
    const given = bytesOf(7);
    const storeKey = new SecretBytes(given);
    const store = await SealedStore.create(storeOptions(disk, { storeKey }));
    await (await store.namespace('n')).put('a', plain(1));
    const parts: Uint8Array[] = [];
    await store.backup(async (part) => void parts.push(Uint8Array.from(part)));
    const newBytes = bytesOf(9);
    const newKey = new SecretBytes(newBytes);
    await store.rotateStoreKey(newKey);
    await store.close();
    expect([...given, ...storeKey.reveal()]).toEqual([...plain(7), ...plain(7)]);
    expect([...newBytes, ...newKey.reveal()]).toEqual([...plain(9), ...plain(9)]);
    const open = (key: SecretBytes) => SealedStore.open(storeOptions(disk, { storeKey: key }));
    await expect(open(new SecretBytes(plain(0)))).rejects.toMatchObject({ code: 'STORE_WRONG_KEY' });
    await expect(open(storeKey)).rejects.toMatchObject({ code: 'STORE_WRONG_KEY' });
    await (await open(newKey)).close();
    await (await open(newKey)).close();

    const other = new SimulatedDisk();
    const source = (async function* () {
      yield* parts;
    })();
    await SealedStore.restore({ ...storeOptions(other, { storeKey }), source });
    const restored = await SealedStore.open(storeOptions(other, { storeKey }));
    expect(await (await restored.namespace('n')).get('a')).toEqual(plain(1));
  });

  it('a key that the caller wipes after the call, and a changed id and unlock field, are used as they were', async () => {
    const disk = new SimulatedDisk();
    const storeKey = new SecretBytes(plain(7));
    const storeId = bytesOf(3, 16);
    const unlock = bytesOf(4, 40);
    const creating = SealedStore.create(storeOptions(disk, { storeKey, storeId, unlock }));
    storeKey.wipe();
    storeId.fill(0);
    unlock.fill(0);
    const store = await creating;
    await store.close();
    const header = await readStoreHeader(disk, STORE_PATH);
    expect([header.storeId, header.unlock]).toEqual([plain(3, 16), plain(4, 40)]);

    const openKey = new SecretBytes(plain(7));
    const opening = SealedStore.open(storeOptions(disk, { storeKey: openKey }));
    openKey.wipe();
    const again = await opening;
    const newKey = new SecretBytes(plain(8));
    const newUnlock = bytesOf(5, 20);
    const rotating = again.rotateStoreKey(newKey, newUnlock);
    newKey.wipe();
    newUnlock.fill(0);
    await rotating;
    await again.close();
    expect((await readStoreHeader(disk, STORE_PATH)).unlock).toEqual(plain(5, 20));
    await (await SealedStore.open(storeOptions(disk, { storeKey: new SecretBytes(plain(8)) }))).close();
  });

  it('values of single writes are copied at the call, for immediate and for waiting writes', async () => {
    const store = await SealedStore.create(storeOptions(new SimulatedDisk()));
    const space = await store.namespace('n');
    for (const waits of [false, true]) {
      // Another namespace is made exclusively, so the writes after it have to wait.
      const making = waits ? store.namespace('other') : undefined;
      const values = [1, 2, 3, 4, 5].map((byte) => bytesOf(byte, 20));
      const [put, replaced, absent, set, expected] = values as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
      const writes = Promise.all([
        space.put(`put ${waits}`, put),
        space.replace(`replace ${waits}`, replaced),
        space.putIfAbsent(`absent ${waits}`, absent),
        space.put(`set ${waits}`, expected),
        space.compareAndSet(`set ${waits}`, expected, set),
      ]);
      for (const value of values) value.fill(0xff);
      expect(await writes).toEqual([undefined, undefined, true, undefined, true]);
      await making;
      const found = await Promise.all(
        ['put', 'replace', 'absent', 'set'].map((name) => space.get(`${name} ${waits}`)),
      );
      expect(found).toEqual([1, 2, 3, 4].map((byte) => plain(byte, 20)));
    }
  });

  it('values of a batch are copied at the call, for immediate and for waiting writes', async () => {
    const store = await SealedStore.create(storeOptions(new SimulatedDisk()));
    const space = await store.namespace('n');
    await space.put('there', plain(6, 20));
    for (const waits of [false, true]) {
      const making = waits ? store.namespace('other') : undefined;
      const value = bytesOf(1, 20);
      const expected = bytesOf(6, 20);
      const operations: BatchOperation[] = [
        { kind: 'put', namespace: 'n', name: `a ${waits}`, value },
        { kind: 'expect', namespace: 'n', name: 'there', value: expected },
      ];
      const batch = store.batch(operations);
      value.fill(0xff);
      expected.fill(0xff);
      operations.length = 0;
      await batch;
      await making;
      expect(await space.get(`a ${waits}`)).toEqual(plain(1, 20));
    }
  });

  it('a part of a backup opens with the key copied at the call', async () => {
    const store = await SealedStore.create(storeOptions(new SimulatedDisk()));
    await (await store.namespace('n')).put('a', plain(1));
    const key = new SecretBytes(bytesOf(5));
    const parts: Uint8Array[] = [];
    const backup = store.backup(async (part) => void parts.push(Uint8Array.from(part)), {
      key,
      includes: () => true,
    });
    key.wipe();
    await backup;
    const disk = new SimulatedDisk();
    const source = (async function* () {
      for (const part of parts) {
        const reused = make(part);
        yield reused;
        reused.fill(0);
      }
    })();
    const storeKey = new SecretBytes(plain(5));
    await SealedStore.restore({ ...storeOptions(disk, { storeKey }), source });
    await (await SealedStore.open(storeOptions(disk, { storeKey }))).close();
  });

  it('a password and its header are not changed', async () => {
    const text = bytesOf(0x61, 10);
    const password = passwordFromFile(text);
    text.fill(0);
    expect(password.reveal()).toEqual(plain(0x61, 10));
    const header = await wrapStoreKey(new SecretBytes(plain(7)), password);
    expect(make(header)).toHaveLength(header.length);
  });
});

describe('misuse by a caller in JavaScript', () => {
  async function open() {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    return { store, space: await store.namespace('n') };
  }
  // A caller in JavaScript passes what the types forbid.
  const untyped = <T>(value: unknown): T => value as T;

  it('a detached buffer is a TypeError, and the store continues', async () => {
    const { store, space } = await open();
    const good = { kind: 'put', namespace: 'n', name: 'a', value: plain(1) } as const;
    const bad = { kind: 'put', namespace: 'n', name: 'b', value: detachedBytes() } as const;
    await expect(store.batch([good, bad])).rejects.toThrow(TypeError);
    await expect(space.put('b', detachedBytes())).rejects.toThrow(TypeError);
    await expect(space.compareAndSet('b', detachedBytes(), plain(1))).rejects.toThrow(TypeError);
    await store.batch([good]);
    await space.put('c', plain(2));
    expect([...space.names()]).toEqual(['a', 'c']);
    await expect(store.rotateStoreKey(new SecretBytes(plain(8)), detachedBytes())).rejects.toThrow(TypeError);
    await space.put('d', new Uint8Array(0));
  });

  it.each([
    ['an unknown kind', [{ kind: 'del', namespace: 'n', name: 'a' }]],
    ['no kind', [{ namespace: 'n', name: 'a', value: plain(1) }]],
    ['no array', { kind: 'put' }],
    ['an operation that is null', [null]],
    ['a name that is a number', [{ kind: 'delete', namespace: 'n', name: 5 }]],
    ['a namespace that is missing', [{ kind: 'delete', name: 'a' }]],
    ['a value that is text', [{ kind: 'put', namespace: 'n', name: 'a', value: 'text' }]],
  ])('a batch with %s is a TypeError and writes nothing', async (_what, operations) => {
    const { store, space } = await open();
    const head = store.head();
    await expect(store.batch(untyped(operations))).rejects.toThrow(TypeError);
    expect(store.head()).toEqual(head);
    await space.put('after', plain(1));
  });

  it('a batch of too many operations is refused before any operation is prepared', async () => {
    const { store, space } = await open();
    const one = { kind: 'delete', namespace: 'n', name: 'a' } as const;
    await expect(store.batch(Array.from({ length: 65_537 }, () => one))).rejects.toMatchObject({
      code: 'STORE_BATCH_TOO_LARGE',
    });
    await store.batch(Array.from({ length: 65_536 }, () => one));
    await space.put('after', plain(1));
  });

  it.each([
    { limit: Number.NaN },
    { limit: -1 },
    { limit: 1.5 },
    { limit: '5' },
    { limit: Number.POSITIVE_INFINITY },
  ])('the limit of $limit is a RangeError', async (range) => {
    const { store, space } = await open();
    expect(() => space.names(untyped(range))).toThrow(RangeError);
    expect(() => space.entries(untyped(range))).toThrow(RangeError);
    expect(() => store.snapshot().namespace('n').names(untyped(range))).toThrow(RangeError);
  });

  it.each([{ prefix: 5 }, { from: {} }, { before: null }, { reverse: 'yes' }])(
    'the range %j is a TypeError',
    async (range) => {
      const { space } = await open();
      expect(() => space.names(untyped(range))).toThrow(TypeError);
    },
  );

  it.each([
    ['segmentBytes', Number.NaN, RangeError],
    ['segmentBytes', 5000.5, RangeError],
    ['paddingBytes', Number.NaN, RangeError],
    ['roomBytes', Number.NaN, RangeError],
    ['roomBytes', 16 * 1024 * 1024 + 1, RangeError],
    ['compaction', 'manul', TypeError],
    ['storeId', 'text', TypeError],
    ['storeId', plain(1, 15), RangeError],
    ['unlock', 'text', TypeError],
  ])('%s of %s is refused', async (option, value, kind) => {
    const disk = new SimulatedDisk();
    await expect(SealedStore.create(untyped({ ...storeOptions(disk), [option]: value }))).rejects.toThrow(
      kind,
    );
    await (await SealedStore.create(storeOptions(disk))).close();
  });

  const judge = () => undefined;
  it.each([
    [{ sequences: [1.5], judge }, RangeError],
    [{ sequences: [0, -1], judge }, RangeError],
    [{ sequences: [Number.NaN], judge }, RangeError],
    [{ sequences: ['3'], judge }, RangeError],
    [{ sequences: [2 ** 53], judge }, RangeError],
    [{ sequences: 3, judge }, TypeError],
    [{ sequences: new Set([3]), judge }, TypeError],
    [{ judge }, TypeError],
    [{ sequences: [3] }, TypeError],
    [{ sequences: [3], judge: 'yes' }, TypeError],
    [null, TypeError],
  ])('admit of %j is refused when opening', async (admit, kind) => {
    const disk = new SimulatedDisk();
    await (await SealedStore.create(storeOptions(disk))).close();
    const opening = SealedStore.open(untyped({ ...storeOptions(disk), admit }));
    await expect(opening).rejects.toThrow(kind);
    await expect(opening).rejects.toThrow(/admit/);
  });

  it('an option erasable that is not a boolean is a TypeError', async () => {
    const { store } = await open();
    await expect(store.namespace('x', untyped({ erasable: 1 }))).rejects.toThrow(TypeError);
  });
});
