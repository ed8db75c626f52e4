import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FACTS_BYTES, packFacts, unpackFacts } from '../../../src/keyserver/packed-facts.ts';
import { type LineageFacts, NO_FACTS } from '../../../src/lineage/rules.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const incarnation = fc.record({ number, bootId: bytes(16) });
const facts: fc.Arbitrary<LineageFacts> = fc.record({
  reserved: fc.record({ number, boot: bytes(16) }),
  shown: incarnation,
  head: fc.option(fc.record({ incarnation, sequence: number, digest: bytes(32) }), { nil: undefined }),
  closed: fc.boolean(),
});

it('the facts of a lineage are the same after packing, whatever was there before', () => {
  fc.assert(
    fc.property(facts, facts, (before, value) => {
      const packed = new Uint8Array(FACTS_BYTES);
      packFacts(before, packed);
      packFacts(value, packed);
      expect(unpackFacts(packed)).toEqual(value);
    }),
  );
});

it('what is read does not change with the memory that it came from', () => {
  const packed = new Uint8Array(FACTS_BYTES);
  const shown = { number: 1, bootId: new Uint8Array(16).fill(1) };
  packFacts({ ...NO_FACTS, shown }, packed);
  const read = unpackFacts(packed);
  packed.fill(9);
  expect(read).toEqual({ ...NO_FACTS, shown });
});
