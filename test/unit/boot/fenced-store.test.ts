import { describe, expect, it } from 'vitest';
import { FencedStore } from '../../../src/boot/node/fenced-store.ts';
import type { WriteLease } from '../../../src/boot/node/write-lease.ts';
import type { Store } from '../../../src/store/api/store-api.ts';
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

describe('a write that hangs in the disk', () => {
  const ends: Readonly<Record<string, (store: FencedStore, lease: { isValid: boolean }) => void>> = {
    'while the instance is fenced': (store) => store.fence('a newer instance'),
    'until the lease has run out': (_store, lease) => {
      lease.isValid = false;
    },
  };
  const cases = Object.keys(ends).flatMap((end) => Object.keys(writes).map((write) => [write, end] as const));

  /** A store that calls `onWritten` after each write, before the writer learns of it. */
  function hanging(inner: MemoryStore, onWritten: () => void): Store {
    const slow = <Target extends object>(target: Target): Target =>
      new Proxy(target, {
        get(of, name) {
          const member: unknown = Reflect.get(of, name, of);
          if (typeof member !== 'function') return member;
          return (...given: readonly unknown[]) => {
            const result: unknown = Reflect.apply(member, of, given);
            if (!(result instanceof Promise) || name === 'get') return result;
            return result.then((made: unknown) => {
              const isOpened = name === 'namespace' && given[0] === 'n';
              if (!isOpened) onWritten();
              return name === 'namespace' && typeof made === 'object' && made !== null ? slow(made) : made;
            });
          };
        },
      });
    return slow(inner);
  }

  it.each(cases)('%s is not acknowledged %s', async (write, end) => {
    const inner = new MemoryStore();
    await (await inner.namespace('n', { erasable: write === 'eraseNamespace' })).put('a', value);
    const lease = { isValid: true, notRenewed: undefined };
    const store = new FencedStore(
      hanging(inner, () => ends[end]?.(store, lease)),
      true,
      lease as unknown as WriteLease,
    );
    const before = inner.writes;
    await expect(writes[write]?.(store)).rejects.toMatchObject({
      code: 'WRITE_UNCERTAIN',
      family: 'problem',
    });
    // It may count all the same.
    expect(inner.writes).toBeGreaterThan(before);
  });
});
