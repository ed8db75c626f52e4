import fc from 'fast-check';
import { expect, it } from 'vitest';
import { jsonCopy } from '../../support/simulated-network-wire.ts';

const throughText = (value: unknown): unknown => {
  const text = JSON.stringify(value);
  return text === undefined ? undefined : JSON.parse(text);
};

it('the wire copies as JSON does', () => {
  const value = fc.anything({ withDate: true, withTypedArray: true, withNullPrototype: true });
  fc.assert(
    fc.property(value, (original) => {
      expect(jsonCopy(original)).toEqual(throughText(original));
      if (typeof original === 'object' && original !== null) expect(jsonCopy(original)).not.toBe(original);
    }),
    { seed: 20261130, numRuns: 2_000 },
  );
});

it.each([
  [{ a: undefined, b: [undefined, Number.NaN, -0], c: new Uint8Array(2) }],
  [{ toJSON: () => '[secret]' }],
  [undefined],
])('copies %j as JSON does', (original) => {
  expect(jsonCopy(original)).toEqual(throughText(original));
});
