import { describe, expect, it } from 'vitest';
import { FencedStore } from '../../../src/boot/node/fenced-store.ts';
import type { WriteLease } from '../../../src/boot/node/write-lease.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const value = Uint8Array.of(1);

/** A store with one value, in the hands of an instance that does not hold its account yet. */
async function waiting(): Promise<{ readonly inner: MemoryStore; readonly store: FencedStore }> {
  const inner = new MemoryStore();
  await (await inner.namespace('n')).put('a', value);
  return { inner, store: new FencedStore(inner, false) };
}

const writes: Readonly<Record<string, (store: FencedStore) => Promise<unknown>>> = {
  put: async (store) => (await store.namespace('n')).put('b', value),
  replace: async (store) => (await store.namespace('n')).replace('a', value),
  putIfAbsent: async (store) => (await store.namespace('n')).putIfAbsent('b', value),
  compareAndSet: async (store) => (await store.namespace('n')).compareAndSet('a', value, undefined),
  delete: async (store) => (await store.namespace('n')).delete('a'),
  batch: (store) => store.batch([{ kind: 'put', namespace: 'n', name: 'b', value }]),
  'a new namespace': (store) => store.namespace('new'),
  eraseNamespace: (store) => store.eraseNamespace('n'),
};

describe('the store of an instance that does not hold its account yet', () => {
  it.each(Object.entries(writes))('takes no %s', async (_name, write) => {
    const { inner, store } = await waiting();
    const before = inner.writes;
    await expect(write(store)).rejects.toMatchObject({ code: 'NODE_UNCLAIMED', family: 'problem' });
    expect([store.isReleased, inner.writes]).toEqual([false, before]);
  });

  it('can be read and backed up', async () => {
    const { store } = await waiting();
    const space = await store.namespace('n');
    expect(await space.get('a')).toEqual(value);
    expect([...space.names()]).toEqual(['a']);
    expect(store.snapshot().namespace('n')?.has('a')).toBe(true);
    expect(store.head().sequence).toBeGreaterThan(0);
  });

  it('takes writes after its release, also through a namespace that was opened before', async () => {
    const { store } = await waiting();
    const early = await store.namespace('n');
    store.release();
    await early.put('b', value);
    for (const write of Object.values(writes).filter((one) => one !== writes['eraseNamespace'])) {
      await write(store);
    }
    expect(store.isReleased).toBe(true);
  });

  it('takes none after a fence, released or not', async () => {
    for (const isReleased of [false, true]) {
      const { store } = await waiting();
      if (isReleased) store.release();
      store.fence('a newer instance');
      const space = await store.namespace('n');
      await expect(space.put('b', value)).rejects.toMatchObject({ code: 'NODE_FENCED' });
      // A release that comes too late opens nothing.
      store.release();
      await expect(space.put('b', value)).rejects.toMatchObject({ code: 'NODE_FENCED' });
      expect(await space.get('a')).toEqual(value);
    }
  });
});

describe('what others ask of the store', () => {
  /** Whether a promise is resolved, once all that can run now has run. */
  const isResolved = async (promise: Promise<void>): Promise<boolean> => {
    let resolved = false;
    void promise.then(() => {
      resolved = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    return resolved;
  };

  it('whether it takes writes: only while it is held, not fenced, and its lease valid', () => {
    const lease = { isValid: true };
    const store = new FencedStore(new MemoryStore(), false, lease as unknown as WriteLease);
    expect(store.takesWrites).toBe(false);
    store.release();
    expect([store.takesWrites, store.isFenced]).toEqual([true, false]);
    lease.isValid = false;
    expect(store.takesWrites).toBe(false);
    lease.isValid = true;
    store.fence('a newer instance');
    expect([store.takesWrites, store.isFenced]).toEqual([false, true]);
    expect(new FencedStore(new MemoryStore(), true).takesWrites).toBe(true);
  });

  it('when this instance holds: from the start, at the release, or never', async () => {
    expect(await isResolved(new FencedStore(new MemoryStore(), true).whenReleased)).toBe(true);
    const { store } = await waiting();
    expect(await isResolved(store.whenReleased)).toBe(false);
    store.release();
    expect(await isResolved(store.whenReleased)).toBe(true);
  });
});
