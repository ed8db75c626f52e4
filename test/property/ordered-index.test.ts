import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OrderedIndex } from '../../src/store/index/ordered-index.ts';
import { OrderedRecords } from '../support/ordered-records.ts';

const name = fc.oneof(
  fc.integer({ min: 0, max: 400 }).map((number) => `n${number}`),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
);
const range = fc.record(
  {
    prefix: fc.oneof(fc.constant('n1'), name),
    from: name,
    before: name,
    reverse: fc.boolean(),
    limit: fc.nat({ max: 50 }),
  },
  { requiredKeys: [] },
);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('set' as const), name }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('delete' as const), name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('freeze' as const), name }) },
);

describe('the ordered index', () => {
  it('behaves like an ordered map, also with frozen copies', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 700, size: 'max' }), range, (steps, asked) => {
        const index = new OrderedIndex();
        const model = new OrderedRecords();
        const frozen: { index: OrderedIndex; names: readonly string[] }[] = [];
        for (const [turn, { kind, name: each }] of steps.entries()) {
          if (kind === 'set') {
            expect(index.set(each, turn, turn * 2) !== undefined).toBe(model.has(each));
            model.set(each, Uint8Array.of(turn % 251));
          } else if (kind === 'delete') {
            expect(index.delete(each) !== undefined).toBe(model.has(each));
            model.delete(each);
          } else frozen.push({ index: index.freeze(), names: model.names() });
        }
        expect(index.size).toBe(model.names().length);
        expect([...index.entries()].map((entry) => entry.name)).toEqual(model.names());
        expect([...index.entries(asked)].map((entry) => entry.name)).toEqual(model.names(asked));
        for (const each of frozen)
          expect([...each.index.entries()].map((entry) => entry.name)).toEqual(each.names);
      }),
      { numRuns: 20 },
    );
  });
});
