import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../../src/bytes/hex.ts';
import { combineShares } from '../../src/crypto/shamir.ts';
import { xWingPublicKey } from '../../src/crypto/x-wing.ts';
import { readCustody } from '../../src/keyslots/custody-codec.ts';
import { openPart, partDigest, platformOfPart, shareOfPart } from '../../src/keyslots/custody-parts.ts';
import { custodySetDigest } from '../../src/trust/custody-set.ts';

/** A generation's parts for three custodians with these seeds; docs/keyslot-format.md has the bytes. */
const vector = JSON.parse(readFileSync(new URL('custody.json', import.meta.url), 'utf8'));
const custody = readCustody(vector.custody, 'custody');
const seedOf = (index: number): Uint8Array => parsePrefixedHex(vector.custodians[index].seed, 32, 'seed');
const binding = {
  account: AccountId.parse(vector.account, 'account'),
  storeId: parsePrefixedHex(vector.storeId, 16, 'storeId'),
  generation: vector.generation,
  threshold: custody.threshold,
  count: 3,
  set: custody.set,
};

describe('the parts of custodians in test/vectors/custody.json', () => {
  it('name the set of the custodians', () => {
    const custodians = custody.parts.map(({ custodian: name }, index) => ({
      name,
      key: xWingPublicKey(seedOf(index)),
    }));
    expect(custodySetDigest({ threshold: 2, custodians })).toEqual(custody.set);
  });

  it('open to their digest and platform, and any two give the store key', () => {
    const parts = custody.parts.map(({ sealed, digest }, index) => {
      const part = openPart(seedOf(index), { ...binding, index }, sealed) ?? expect.fail('does not open');
      expect(partDigest(part)).toEqual(digest);
      expect(toPrefixedHex(platformOfPart(part))).toBe(vector.platform);
      return part;
    });
    for (const absent of parts.keys()) {
      const shares = parts.filter((_part, index) => index !== absent).map(shareOfPart);
      expect(toPrefixedHex(combineShares(shares, 2))).toBe(vector.storeKey);
    }
  });
});
