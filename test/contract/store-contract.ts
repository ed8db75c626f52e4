import { describe, expect, it } from 'vitest';
import type { NameRange, Namespace, Store } from '../../src/store/api/store-api.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const listed = (space: Namespace, range?: NameRange): string[] => [...space.names(range)];

/** Names in the order of their UTF-8 bytes; their order by UTF-16 units is different. */
const orderedNames = ['A', 'a', 'aa', 'b', 'ß', '\u3042', '\uffee', '\u{1f600}', '\u{1f600}a', '\u{10ffff}'];

/** What every {@link Store} must do; `open` gives an empty one. */
export function storeContract(name: string, open: () => Promise<Store>): void {
  const opened = async (): Promise<{ store: Store; space: Namespace }> => {
    const store = await open();
    return { store, space: await store.namespace('space') };
  };

  describe(`${name} as a Store`, () => {
    it('gives back what was put, and copies it', async () => {
      const { space } = await opened();
      const value = bytes(1, 2, 3);
      await space.put('name', value);
      value[0] = 9;
      expect(await space.get('name')).toEqual(bytes(1, 2, 3));
      expect(await space.get('other')).toBeUndefined();
      expect([space.has('name'), space.has('other'), space.size]).toEqual([true, false, 1]);
    });

    it('distinguishes an empty value from a missing one', async () => {
      const { space } = await opened();
      await space.put('name', bytes());
      expect(await space.get('name')).toEqual(bytes());
      expect(await space.delete('name')).toEqual(bytes());
      expect(await space.delete('name')).toBeUndefined();
      expect(space.size).toBe(0);
    });

    it('replaces, puts where absent, compares and sets', async () => {
      const { space } = await opened();
      expect(await space.replace('name', bytes(1))).toBeUndefined();
      expect(await space.replace('name', bytes(2))).toEqual(bytes(1));
      expect(await space.putIfAbsent('name', bytes(3))).toBe(false);
      expect(await space.compareAndSet('name', bytes(1), bytes(4))).toBe(false);
      expect(await space.compareAndSet('name', undefined, bytes(4))).toBe(false);
      expect(await space.get('name')).toEqual(bytes(2));
      expect(await space.compareAndSet('name', bytes(2), bytes(4))).toBe(true);
      expect(await space.compareAndSet('name', bytes(4), undefined)).toBe(true);
      expect(space.has('name')).toBe(false);
      expect(await space.compareAndSet('name', undefined, bytes(5))).toBe(true);
      expect(await space.putIfAbsent('fresh', bytes(6))).toBe(true);
    });

    it('lets exactly one of many concurrent writers win', async () => {
      const { space } = await opened();
      const wins = await Promise.all(
        Array.from({ length: 50 }, (_, writer) => space.putIfAbsent('name', bytes(writer))),
      );
      expect(wins.filter(Boolean)).toHaveLength(1);
      expect(await space.get('name')).toEqual(bytes(wins.indexOf(true)));
    });

    it('loses no update of concurrent replaces', async () => {
      const { space } = await opened();
      const seen = await Promise.all(
        Array.from({ length: 20 }, (_, writer) => space.replace('n', bytes(writer))),
      );
      const left = await space.get('n');
      const all = [...seen, left].map((value) => value?.[0]).filter((value) => value !== undefined);
      expect(all.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, writer) => writer));
    });

    it('iterates in the order of UTF-8 bytes, by prefix, range, limit and backwards', async () => {
      const { space } = await opened();
      for (const each of [...orderedNames].reverse()) await space.put(each, text(each));
      expect(listed(space)).toEqual(orderedNames);
      expect(listed(space, { reverse: true })).toEqual([...orderedNames].reverse());
      expect(listed(space, { prefix: 'a' })).toEqual(['a', 'aa']);
      expect(listed(space, { prefix: '\u{1f600}', reverse: true })).toEqual(['\u{1f600}a', '\u{1f600}']);
      expect(listed(space, { from: 'aa', before: '\uffee' })).toEqual(['aa', 'b', 'ß', '\u3042']);
      expect(listed(space, { from: 'aa', limit: 2 })).toEqual(['aa', 'b']);
      expect(listed(space, { before: 'b', reverse: true, limit: 2 })).toEqual(['aa', 'a']);
      expect(listed(space, { prefix: 'a', from: 'aa', limit: 5 })).toEqual(['aa']);
      expect(listed(space, { limit: 0 })).toEqual([]);
      expect(listed(space, { prefix: 'zz' })).toEqual([]);
      const entries: string[] = [];
      for await (const [each, value] of space.entries({ from: 'b' })) {
        expect(value).toEqual(text(each));
        entries.push(each);
      }
      expect(entries).toEqual(orderedNames.slice(3));
    });

    it('applies a batch completely or not at all', async () => {
      const { store, space } = await opened();
      await store.namespace('second');
      await space.put('kept', bytes(1));
      const put = { kind: 'put', namespace: 'second', name: 'n', value: bytes(2) } as const;
      const conflicting = { kind: 'expect', namespace: 'space', name: 'kept', value: bytes(9) } as const;
      await expect(store.batch([put, conflicting])).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
      expect((await store.namespace('second')).size).toBe(0);
      await store.batch([
        put,
        { kind: 'expect', namespace: 'space', name: 'kept', value: bytes(1) },
        { kind: 'expect', namespace: 'space', name: 'absent', value: undefined },
        { kind: 'delete', namespace: 'space', name: 'kept' },
        { kind: 'put', namespace: 'space', name: 'new', value: bytes(3) },
      ]);
      expect(listed(space)).toEqual(['new']);
      expect(await (await store.namespace('second')).get('n')).toEqual(bytes(2));
    });

    it('keeps namespaces and their kinds apart', async () => {
      const { store, space } = await opened();
      const other = await store.namespace('other', { erasable: true });
      await space.put('n', bytes(1));
      await other.put('n', bytes(2));
      expect([await space.get('n'), await other.get('n')]).toEqual([bytes(1), bytes(2)]);
      expect(store.namespaces()).toEqual(['other', 'space']);
      expect([store.hasNamespace('other'), store.hasNamespace('othe')]).toEqual([true, false]);
      const wrongKind = { code: 'STORE_NAMESPACE_KIND' };
      await expect(store.namespace('other')).rejects.toMatchObject(wrongKind);
      await expect(store.namespace('space', { erasable: true })).rejects.toMatchObject(wrongKind);
      await expect(store.eraseNamespace('space')).rejects.toMatchObject(wrongKind);
      expect([await store.eraseNamespace('other'), await store.eraseNamespace('other')]).toEqual([
        true,
        false,
      ]);
      expect(store.namespaces()).toEqual(['space']);
      expect(store.hasNamespace('other')).toBe(false);
      // A handle to the erased namespace reads nothing and cannot write.
      expect([await other.get('n'), other.has('n'), other.size, listed(other)]).toEqual([
        undefined,
        false,
        0,
        [],
      ]);
      await expect(other.put('n', bytes(3))).rejects.toMatchObject({ code: 'STORE_NAMESPACE_MISSING' });
      expect(store.hasNamespace('other')).toBe(false);
      const again = await store.namespace('other', { erasable: true });
      expect([again.size, await again.get('n')]).toEqual([0, undefined]);
    });

    it('a snapshot shows the contents of its moment, unchanged by later writes', async () => {
      const { store, space } = await opened();
      await space.put('a', bytes(1));
      await space.put('b', bytes(2));
      const snapshot = store.snapshot();
      await space.put('a', bytes(9));
      await space.delete('b');
      await space.put('c', bytes(3));
      const frozen = snapshot.namespace('space');
      expect([...frozen.names()]).toEqual(['a', 'b']);
      expect([await frozen.get('a'), await frozen.get('b'), frozen.size]).toEqual([bytes(1), bytes(2), 2]);
      expect(snapshot.head.sequence).toBeLessThan(store.head().sequence);
      snapshot.release();
      expect(listed(space)).toEqual(['a', 'c']);
    });

    it('moves its head with every write, and only with writes', async () => {
      const { store, space } = await opened();
      const before = store.head();
      await space.get('a');
      await space.delete('a');
      expect(store.head()).toEqual(before);
      await space.put('a', bytes(1));
      const after = store.head();
      expect(after.sequence).toBeGreaterThan(before.sequence);
      expect([after.digest.length, Buffer.compare(after.digest, before.digest) === 0]).toEqual([32, false]);
    });

    it('refuses a name that is empty or over 4 KiB', async () => {
      const { space } = await opened();
      for (const wrong of ['', 'x'.repeat(4097), 'ß'.repeat(2049)])
        await expect(space.put(wrong, bytes(1))).rejects.toThrow();
      await space.put('ß'.repeat(2048), bytes(1));
      expect(space.size).toBe(1);
    });
  });
}
