import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IndexBuilder } from '../../src/store/index/index-builder.ts';
import { NODE_CAPACITY } from '../../src/store/index/index-nodes.ts';
import { OrderedIndex } from '../../src/store/index/ordered-index.ts';

const name = fc.oneof(
  fc.integer({ min: 0, max: 40 }).map((number) => `name-${String(number).padStart(2, '0')}`),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }),
);
const step = fc.record({ name, deletes: fc.boolean(), ordered: fc.boolean() });

describe('IndexBuilder against OrderedIndex', () => {
  it('replaces and removes the same, and builds the same index, whatever comes in whatever order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const builder = new IndexBuilder();
        const index = new OrderedIndex();
        for (const [at, { name, deletes }] of steps.entries())
          if (deletes) expect(builder.delete(name)).toEqual(index.delete(name));
          else expect(builder.set(name, at, at * 2)).toEqual(index.set(name, at, at * 2));
        const entries = [...index.entries()];
        const sum = (locations: Iterable<{ address: number }>) =>
          [...locations].reduce((total, { address }) => total + address, 0);
        expect(sum(builder.locations())).toBe(sum(entries));
        const built = builder.build();
        expect([...built.entries()]).toEqual(entries);
        expect([...built.entries({ reverse: true })]).toEqual(entries.toReversed());
        expect(built.size).toBe(index.size);
      }),
      { numRuns: 500 },
    );
  });

  it.each([0, 1, NODE_CAPACITY, NODE_CAPACITY + 1, NODE_CAPACITY ** 2, NODE_CAPACITY ** 2 + 1, 10_000])(
    '%i names in order: the index finds each, and takes changes at every place',
    (count) => {
      const nameAt = (at: number) => `name/${String(at).padStart(6, '0')}`;
      const builder = new IndexBuilder();
      for (let at = 0; at < count; at++) builder.set(nameAt(at), at, at + 7);
      const index = builder.build();
      const before = index.freeze();
      for (let at = 0; at < count; at++)
        expect(index.find(nameAt(at))).toEqual({ address: at, extent: at + 7 });
      for (let at = 0; at < count; at += 3) index.delete(nameAt(at));
      for (let at = 0; at < count; at += 5) index.set(`${nameAt(at)}/more`, at, 1);
      const expected = Array.from({ length: count }, (_, at) => at).flatMap((at) => [
        ...(at % 3 === 0 ? [] : [nameAt(at)]),
        ...(at % 5 === 0 ? [`${nameAt(at)}/more`] : []),
      ]);
      expect([...index.entries()].map(({ name }) => name)).toEqual(expected);
      expect(before.size).toBe(count);
      expect([...before.entries()]).toHaveLength(count);
    },
  );
});
