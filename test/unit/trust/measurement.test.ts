import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { judgeMeasurement, type Measurement, measurementId } from '../../../src/trust/measurement.ts';
import { measurementPolicyOf, parseTrustSection } from '../../../src/trust/trust-section.ts';

const register = (fill: number): Uint8Array => new Uint8Array(48).fill(fill);
const image = (fill: number): Measurement => ({
  mrTd: register(fill),
  rtMr0: register(0),
  rtMr1: register(0),
  rtMr2: register(0),
  rtMr3: register(0),
});

describe('measurement id', () => {
  it('of zero registers equals the id that Entropy uses for mock quotes (seed-systems 4.2)', () => {
    expect(toHex(measurementId(image(0)))).toBe(
      '5bac60d182a0a7ae98b8c11b583b75eb4a27c24593488119e018bd67e0146b74',
    );
  });

  it('depends on every register and on their order', () => {
    const fields = ['mrTd', 'rtMr0', 'rtMr1', 'rtMr2', 'rtMr3'] as const;
    const ids = fields.map((field) => toHex(measurementId({ ...image(0), [field]: register(1) })));
    expect(new Set(ids).size).toBe(fields.length);
  });

  it('refuses a register of another length', () => {
    expect(() => measurementId({ ...image(0), rtMr2: new Uint8Array(47) })).toThrow(RangeError);
  });
});

describe('judging a measurement', () => {
  const own = measurementId(image(1));
  const onChain = measurementId(image(2));
  const pinned = measurementId(image(3));
  const facts = { own, chainAccepted: [onChain] };
  const section = (measurement: unknown) =>
    parseTrustSection({ chain: { genesisHash: `0x${'00'.repeat(32)}` }, measurement });
  const policies = {
    own: measurementPolicyOf(section({ policy: 'own' })),
    chain: measurementPolicyOf(section({ policy: 'chain' })),
    pinned: measurementPolicyOf(section({ policy: 'pinned', accepted: [`0x${toHex(pinned)}`] })),
  };

  it.each([
    ['own', 1, true],
    ['own', 2, false],
    ['own', 3, false],
    ['chain', 1, true],
    ['chain', 2, true],
    ['chain', 3, false],
    ['pinned', 1, true],
    ['pinned', 2, false],
    ['pinned', 3, true],
  ] as const)('policy %s, image %i: accepted is %s', (policy, fill, accepted) => {
    const judge = () => judgeMeasurement(image(fill), policies[policy], facts);
    if (accepted) judge();
    else expect(judge).toThrow(expect.objectContaining({ code: 'MEASUREMENT_REFUSED' }));
  });

  it('a refusal names the expected and the actual measurement', () => {
    expect(() => judgeMeasurement(image(4), policies.chain, facts)).toThrow(
      expect.objectContaining({
        family: 'refusal',
        observed: `0x${toHex(measurementId(image(4)))}`,
        expected: expect.stringContaining(toHex(own)),
      }),
    );
  });
});
