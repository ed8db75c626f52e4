import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { custodySetDigest, custodySetOf } from '../../../src/trust/custody-set.ts';
import { canonicalTrustSection, trustHash } from '../../../src/trust/trust-hash.ts';
import { parseTrustSection } from '../../../src/trust/trust-section.ts';
import { custodians, custodyOf } from '../../support/custodians.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const minimal = { chain: { genesisHash: `0x${'ab'.repeat(32)}` } };
const sectionWith = (custody: unknown) => parseTrustSection({ ...minimal, custody });
const hashOf = (custody: unknown): string => toHex(trustHash(sectionWith(custody)));
const whole = custodyOf(2);
const [first = expect.fail(), second = expect.fail()] = whole.custodians;

// A coefficient that is not below q, and an X25519 half of zeros: nothing can be sealed to either.
const notMlKem = `0xffffff${second.key.slice(8)}`;
const notHex = `${second.key.slice(0, -1)}g`;
const smallOrder = second.key.slice(0, -64) + '00'.repeat(32);

describe('trust.custody', () => {
  it('changes the trust hash only when it is there', () => {
    expect(canonicalTrustSection(parseTrustSection(minimal))).not.toContain('custody');
    expect(hashOf(undefined)).toBe(toHex(trustHash(parseTrustSection(minimal))));
    expect(hashOf(whole)).not.toBe(hashOf(undefined));
    expect(hashOf({ ...whole, threshold: 3 })).not.toBe(hashOf(whole));
  });

  it('means a set: neither the order of custodians nor the case of hex changes the hash', () => {
    const upper = { ...first, key: `0x${first.key.slice(2).toUpperCase()}` };
    const others = whole.custodians.slice(1).toReversed();
    expect(hashOf({ ...whole, custodians: [...others, upper] })).toBe(hashOf(whole));
  });

  it('gives the same again when its result is read', () => {
    const section = sectionWith(whole);
    expect(parseTrustSection(section)).toEqual(section);
  });

  it.each([
    ['a threshold of 1', { ...whole, threshold: 1 }],
    ['a threshold above the number of custodians', { ...whole, threshold: 4 }],
    ['one custodian', { ...whole, custodians: [first] }],
    ['more than 16', { ...whole, custodians: Array.from({ length: 17 }, () => first) }],
    ['a name twice', { ...whole, custodians: [first, { ...second, name: first.name }] }],
    ['a key twice', { ...whole, custodians: [first, { ...second, key: first.key }] }],
    ['a short key', { ...whole, custodians: [first, { ...second, key: '0x00' }] }],
    ['a key that is no hex', { ...whole, custodians: [first, { ...second, key: 'alice.key' }] }],
    [
      'a key of the right length that is no hex',
      { ...whole, custodians: [first, { ...second, key: notHex }] },
    ],
    ['a key with a wrong digit', { ...whole, custodians: [first, { ...second, key: notMlKem }] }],
    ['a key of small order', { ...whole, custodians: [first, { ...second, key: smallOrder }] }],
    ['an empty name', { ...whole, custodians: [first, { ...second, name: '' }] }],
    ['a name with a space', { ...whole, custodians: [first, { ...second, name: 'b c' }] }],
    ['an unknown field', { ...whole, extra: 1 }],
  ])('is refused with %s', (_what, custody) => {
    expect(codeOf(() => sectionWith(custody))).toBe('TRUST_SECTION_INVALID');
  });

  it('names the place of a wrong key', () => {
    const error = thrownBy(() => sectionWith({ ...whole, custodians: [first, { ...second, key: notHex }] }));
    expect(error).toMatchObject({ field: expect.stringMatching(/custody\.custodians\.1\.key$/) });
  });

  it('names the custodians in the order of their names, with their keys as bytes', () => {
    const set = custodySetOf(sectionWith({ ...whole, custodians: whole.custodians.toReversed() }));
    expect(set?.custodians.map(({ name }) => name)).toEqual(['alice', 'bob', 'carol']);
    expect(set?.custodians[0]?.key).toEqual(custodians[0]?.publicKey);
    expect(custodySetOf(parseTrustSection(minimal))).toBeUndefined();
  });

  it('has a digest that every field changes', () => {
    const digest = (custody: unknown): string => {
      const set = custodySetOf(sectionWith(custody));
      return set === undefined ? 'none' : toHex(custodySetDigest(set));
    };
    const renamed = [{ ...first, name: 'zoe' }, ...whole.custodians.slice(1)];
    const keys = [{ ...first, key: second.key }, { ...second, key: first.key }, whole.custodians[2]];
    const all = [whole, { ...whole, threshold: 3 }, custodyOf(2, custodians.slice(1))]
      .concat({ ...whole, custodians: renamed })
      .map(digest);
    expect(new Set([...all, digest({ ...whole, custodians: keys })]).size).toBe(5);
  });
});
