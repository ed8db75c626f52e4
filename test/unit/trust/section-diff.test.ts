import { describe, expect, it } from 'vitest';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { Ed25519Signer } from '../../../src/crypto/ed25519.ts';
import { diffSections } from '../../../src/trust/section-diff.ts';
import { trustHash } from '../../../src/trust/trust-hash.ts';
import { parseTrustSection } from '../../../src/trust/trust-section.ts';

const chain = { genesisHash: `0x${'ab'.repeat(32)}` };
const plain = parseTrustSection({ chain });
const key = toPrefixedHex(new Ed25519Signer(new Uint8Array(32).fill(1)).publicKey);

describe('trust diff', () => {
  it('finds no difference in spelling', () => {
    const { changes, acceptance } = diffSections(plain, parseTrustSection({ chain, minimumThreshold: 2 }));
    expect(changes).toEqual([]);
    expect(acceptance[0]).toContain('same hash');
  });

  it('names each value, and what is new in a list and gone from it', () => {
    const [one, two] = [`0x${'01'.repeat(48)}`, `0x${'02'.repeat(48)}`];
    const before = parseTrustSection({ chain, acceptedTrustHashes: [one] });
    const after = parseTrustSection({
      chain,
      minimumThreshold: 3,
      acceptedTrustHashes: [two],
      authority: { id: `0x${'0a'.repeat(16)}`, threshold: 1, keys: [key] },
    });
    expect(diffSections(before, after).changes).toEqual([
      `trust.acceptedTrustHashes: "${one}" is no longer in it`,
      `trust.acceptedTrustHashes: "${two}" is new in it`,
      `trust.authority: nothing becomes ${JSON.stringify(after.authority)}`,
      'trust.minimumThreshold: 2 becomes 3',
    ]);
  });

  it('names what is new as a whole and what is gone as a whole', () => {
    const id = `0x${'01'.repeat(32)}`;
    const pinned = parseTrustSection({ chain, measurement: { policy: 'pinned', accepted: [id] } });
    const fenced = parseTrustSection({ chain, fencing: { leaseMs: 10_000 } });
    const changesOf = (former: typeof plain, next: typeof plain) => diffSections(former, next).changes;
    expect(changesOf(plain, pinned)).toEqual([
      `trust.measurement.accepted: nothing becomes ["${id}"]`,
      'trust.measurement.policy: "own" becomes "pinned"',
    ]);
    expect(changesOf(pinned, plain)).toEqual([
      `trust.measurement.accepted: ["${id}"] becomes nothing`,
      'trust.measurement.policy: "pinned" becomes "own"',
    ]);
    expect(changesOf(plain, fenced)).toEqual(['trust.fencing: nothing becomes {"leaseMs":10000}']);
    expect(changesOf(fenced, plain)).toEqual(['trust.fencing: {"leaseMs":10000} becomes nothing']);
  });

  it('says in both directions whether machines accept each other', () => {
    const next = parseTrustSection({ chain, acceptedTrustHashes: [toPrefixedHex(trustHash(plain))] });
    const [forwards, backwards] = diffSections(plain, next).acceptance;
    expect(forwards).toMatch(/^machines under the former section REFUSE .*no authority can add it$/);
    expect(backwards).toMatch(/^machines under the new section accept .*it is listed$/);
    const withAuthority = parseTrustSection({
      chain,
      authority: { id: `0x${'0a'.repeat(16)}`, threshold: 1, keys: [key] },
    });
    expect(diffSections(withAuthority, plain).acceptance[0]).toContain('unless a fleet manifest');
  });
});
