import canonicalize from 'canonicalize';
import { equalBytes, utf8 } from '../bytes/concat.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { sha384 } from '../crypto/sha2.ts';
import { ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import { checkedHex } from './section-values.ts';
import type { TrustSection } from './trust-section.ts';

/** The canonical JSON (RFC 8785) of a parsed section, the text that is hashed. */
export function canonicalTrustSection(section: TrustSection): string {
  const text = canonicalize(section);
  if (text === undefined) throw new TypeError('a trust section is an object');
  return text;
}

/** SHA-384 of the canonical JSON, 48 bytes: what MRCONFIGID must be in a machine that runs under this section. */
export function trustHash(section: TrustSection): Uint8Array {
  const hash = hashes.get(section) ?? sha384(utf8(canonicalTrustSection(section)));
  hashes.set(section, hash);
  return hash;
}

/** Every judgement compares with the hash, and a parsed section never changes. */
const hashes = new WeakMap<TrustSection, Uint8Array>();

/**
 * Compares a node's own MRCONFIGID with its own section. On a mismatch the node must not start: the host gave it a
 * configuration that its measurement does not vouch for.
 * @throws ProblemError TRUST_HASH_MISMATCH when they differ.
 */
export function judgeOwnTrustHash(section: TrustSection, ownMrConfigId: Uint8Array): void {
  const expected = trustHash(section);
  if (equalBytes(expected, ownMrConfigId)) return;
  throw new ProblemError(
    'TRUST_HASH_MISMATCH',
    'the trust section is not the one this machine is measured with',
    {
      field: 'MRCONFIGID',
      expected: toPrefixedHex(expected),
      observed: toPrefixedHex(ownMrConfigId),
      hint: 'start the machine with MRCONFIGID = what `latchkey trust hash` prints for this configuration',
    },
  );
}

/** The accepted values of a peer's MRCONFIGID. */
export interface TrustHashFacts {
  readonly section: TrustSection;
  /** For `recover`: the MRCONFIGID under which the key was made, 48 bytes. */
  readonly keyMadeUnder?: Uint8Array;
  /** Trust hashes that the fleet manifest in force accepts, `0x` hex. */
  readonly fleetAccepted?: readonly string[];
}

/**
 * Judges a peer's MRCONFIGID: the own trust hash, a listed hash, one of the fleet manifest, or the hash under
 * which its key was made.
 * @throws RefusalError TRUST_SECTION_REFUSED.
 */
export function judgeTrustHash(mrConfigId: Uint8Array, facts: TrustHashFacts): void {
  const { section, keyMadeUnder, fleetAccepted = [] } = facts;
  if (fleetAccepted.includes(toPrefixedHex(mrConfigId))) return;
  const own = trustHash(section);
  const accepted = [
    own,
    ...section.acceptedTrustHashes.map(checkedHex),
    ...(keyMadeUnder === undefined ? [] : [keyMadeUnder]),
  ];
  if (accepted.some((candidate) => equalBytes(candidate, mrConfigId))) return;
  throw new RefusalError('TRUST_SECTION_REFUSED', 'the peer runs under another trust section', {
    field: 'MRCONFIGID',
    expected: `${toPrefixedHex(own)} or one of ${section.acceptedTrustHashes.length} listed, or one of ${fleetAccepted.length} of the fleet manifest`,
    observed: toPrefixedHex(mrConfigId),
    hint: 'compare `latchkey trust hash` on both sides; `latchkey fleet draft` adds a section to the fleet manifest',
  });
}
