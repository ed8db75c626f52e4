import { describe, expect, it } from 'vitest';
import { toHex, toPrefixedHex } from '../../../src/bytes/hex.ts';
import { Ed25519Signer, ed25519Verify } from '../../../src/crypto/ed25519.ts';
import { isWeakEd25519Key } from '../../../src/crypto/ed25519-zip215.ts';
import { canonicalTrustSection, trustHash } from '../../../src/trust/trust-hash.ts';
import { parseTrustSection } from '../../../src/trust/trust-section.ts';
import { thrownBy } from '../../support/thrown.ts';

const chain = { genesisHash: `0x${'ab'.repeat(32)}` };
const keys = [1, 2, 3].map((fill) =>
  toPrefixedHex(new Ed25519Signer(new Uint8Array(32).fill(fill)).publicKey),
);
const authority = { id: `0x${'0a'.repeat(16)}`, threshold: 2, keys };
const parse = (changes: object) => parseTrustSection({ chain, authority: { ...authority, ...changes } });

describe('trust.authority', () => {
  it('a section without it keeps its hash', () => {
    const section = parseTrustSection({ chain });
    expect(canonicalTrustSection(section)).not.toContain('authority');
    // Computed before there was an authority.
    expect(toHex(trustHash(section))).toBe(
      'ae7d42af83c2c54f1519e009db6ac1715dfacf4bbf7055a3343a3e8379996acdf80b0dcdae0adbb2ae13256c67f7b461',
    );
  });

  it('fills in its defaults, which are measured', () => {
    const section = parse({});
    expect(section.authority).toEqual({
      ...authority,
      keys: [...keys].sort(),
      minimumSerial: 1,
      delayMs: 86_400_000,
    });
    const hashes = [{}, { minimumSerial: 2 }, { delayMs: 0 }, { threshold: 3 }, { keys: keys.slice(1) }].map(
      (changes) => toHex(trustHash(parse(changes))),
    );
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it('is a set of keys: order, case and repetition change no hash', () => {
    const spelled = parse({
      keys: [...keys, ...keys].reverse().map((key) => key.toUpperCase().replace('0X', '0x')),
    });
    expect(trustHash(spelled)).toEqual(trustHash(parse({})));
  });

  it.each([
    ['no keys', { keys: [] }, 'trust.authority.keys'],
    ['17 keys', { keys: Array.from({ length: 17 }, () => keys[0]) }, 'trust.authority.keys'],
    ['a threshold of more than all', { threshold: 4 }, 'trust.authority.threshold'],
    ['a key twice that has to count twice', { keys: [keys[0], keys[0]] }, 'trust.authority.threshold'],
    ['threshold 0', { threshold: 0 }, 'trust.authority.threshold'],
    ['serial 0', { minimumSerial: 0 }, 'trust.authority.minimumSerial'],
    ['a delay of more than a year', { delayMs: 31_536_000_001 }, 'trust.authority.delayMs'],
    ['an id of 15 bytes', { id: `0x${'0a'.repeat(15)}` }, 'trust.authority.id'],
    ['an unknown key', { revocable: true }, 'trust.authority'],
    ['the placeholder of zeros', { keys: [...keys, `0x${'00'.repeat(32)}`] }, 'trust.authority.keys'],
    ['a key that is no point', { keys: [...keys, `0x02${'00'.repeat(31)}`] }, 'trust.authority.keys'],
  ])('refuses %s', (_, changes, field) => {
    const error = thrownBy(() => parse(changes));
    expect(error).toMatchObject({ code: 'TRUST_SECTION_INVALID', field });
  });
});

describe('a key of small order', () => {
  it('is refused: OpenSSL 3.0 of Node 20 accepts a signature of it that anybody can make', () => {
    // The identity point as key and as R, with S = 0: valid for every message.
    const identity = new Uint8Array(32);
    identity[0] = 1;
    const signature = new Uint8Array(64);
    signature[0] = 1;
    // Newer releases refuse it.
    const isOld = process.versions.openssl.startsWith('3.0.');
    if (isOld) expect(ed25519Verify(new Uint8Array(8), signature, identity)).toBe(true);
    expect(isWeakEd25519Key(identity)).toBe(true);
  });

  it('is none that a signer has', () => {
    expect(isWeakEd25519Key(new Ed25519Signer(new Uint8Array(32).fill(9)).publicKey)).toBe(false);
    expect(isWeakEd25519Key(new Uint8Array(31))).toBe(true);
  });
});
