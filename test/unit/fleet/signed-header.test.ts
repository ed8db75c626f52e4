import { describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../src/bytes/concat.ts';
import { tryFromHex } from '../../../src/bytes/hex.ts';
import type { Ed25519Signer } from '../../../src/crypto/ed25519.ts';
import {
  decodeHeader,
  encodeHeader,
  FLEET_HEADER_BYTES,
  headerHash,
  LAST_SERIAL,
} from '../../../src/fleet/fleet-header.ts';
import {
  decodeSignedHeader,
  encodeSignedHeader,
  MAX_SIGNED_HEADER_BYTES,
} from '../../../src/fleet/signed-header.ts';
import { VerifiedHeader, verifyHeader } from '../../../src/fleet/verify-header.ts';
import { MAX_EXTENSION_BYTES } from '../../../src/protocol/extensions.ts';
import { AuthorityWorld, fixed, signedBy } from '../../support/fleet-world.ts';
import { codeOf } from '../../support/thrown.ts';

const world = new AuthorityWorld();
const { rules } = world;
const good = world.sign(world.header());
const changed = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  const copy = new Uint8Array(bytes);
  copy[at] = value;
  return copy;
};
const codeFor = (signed: Uint8Array, changes: Partial<typeof rules> = {}): string =>
  codeOf(() => verifyHeader(signed, { ...rules, ...changes }));

describe('fleet header', () => {
  it('has 128 bytes, and reads what it wrote', () => {
    const header = world.header({ serial: LAST_SERIAL, previous: fixed('before'), issuedAtMs: 0 });
    const bytes = encodeHeader(header);
    expect(bytes.length).toBe(FLEET_HEADER_BYTES);
    expect(decodeHeader(bytes)).toEqual(header);
  });

  it('keeps none of the bytes that it was read from', () => {
    const bytes = encodeHeader(world.header());
    const header = decodeHeader(bytes);
    bytes.fill(0);
    expect(header).toEqual(world.header());
  });

  it.each([
    ['an empty header', new Uint8Array(0)],
    ['a byte less', encodeHeader(world.header()).subarray(1)],
    ['a byte more', concatBytes(encodeHeader(world.header()), Uint8Array.of(0))],
    ['serial 0', concatBytes(...[world.header()].map((h) => changed(encodeHeader(h), 55, 0)))],
    ['serial 2^53', changed(changed(encodeHeader(world.header()), 49, 0x20), 55, 0)],
    ['a time of 2^53', changed(encodeHeader(world.header()), 121, 0x20)],
  ])('refuses %s', (_, bytes) => {
    expect(codeOf(() => decodeHeader(bytes))).toBe('FLEET_HEADER_MALFORMED');
  });

  it('is not written with a field of another length', () => {
    expect(() => encodeHeader(world.header({ previous: new Uint8Array(31) }))).toThrow(RangeError);
  });
});

describe('signed header', () => {
  it('fits into one extension of an answer, with all signatures', () => {
    const many = new AuthorityWorld('many', { keys: 16, threshold: 16 });
    const signed = many.sign(many.header());
    expect(signed.length).toBe(MAX_SIGNED_HEADER_BYTES);
    expect(MAX_SIGNED_HEADER_BYTES).toBeLessThanOrEqual(MAX_EXTENSION_BYTES);
    expect(codeOf(() => verifyHeader(signed, many.rules))).toBe('none');
  });

  it('has one spelling: keys ascending, whatever the order of signing', () => {
    expect(signedBy(world.header(), [...world.signers].reverse())).toEqual(world.sign(world.header(), 3));
  });

  it('is not written with two signatures of one key, or with 17', () => {
    const { header, signatures } = decodeSignedHeader(good);
    expect(() => encodeSignedHeader({ header, signatures: [...signatures, ...signatures] })).toThrow(
      RangeError,
    );
    const seventeen = Array.from({ length: 17 }, (_, index) => ({
      key: fixed(`${index}`),
      signature: new Uint8Array(64),
    }));
    expect(() => encodeSignedHeader({ header, signatures: seventeen })).toThrow(/at most 16/);
  });

  it.each([
    ['no bytes', new Uint8Array(0)],
    ['no count', good.subarray(0, 128)],
    ['a count too high', changed(good, 128, 3)],
    ['a count too low', changed(good, 128, 1)],
    ['17 signatures', concatBytes(good.subarray(0, 128), Uint8Array.of(17), new Uint8Array(17 * 96))],
    ['a byte behind', concatBytes(good, Uint8Array.of(0))],
    [
      'the same key twice',
      concatBytes(good.subarray(0, 129), good.subarray(129, 225), good.subarray(129, 225)),
    ],
    [
      'keys in another order',
      concatBytes(good.subarray(0, 129), good.subarray(225, 321), good.subarray(129, 225)),
    ],
  ])('refuses %s', (_, bytes) => {
    expect(codeFor(bytes)).toBe('FLEET_HEADER_MALFORMED');
  });
});

describe('verified header', () => {
  it('is what a threshold of the authority signed', () => {
    const verified = verifyHeader(good, rules);
    expect(verified.header).toEqual(world.header());
    expect(verified.hash).toEqual(headerHash(world.header()));
    expect(verified.signed).toEqual(good);
    expect(codeFor(world.sign(world.header(), 3))).toBe('none');
  });

  it('is made by the verifier only', () => {
    // @ts-expect-error the key of the maker is not exported
    expect(() => new VerifiedHeader(Symbol('verifyHeader'), world.header(), good, world.authority)).toThrow(
      TypeError,
    );
  });

  it('is the same manifest with other signatures', () => {
    const verified = verifyHeader(good, rules);
    expect(verified.isSameAs(verifyHeader(world.sign(world.header(), 3), rules))).toBe(true);
    expect(verified.isSameAs(verifyHeader(world.sign(world.header({ serial: 2 })), rules))).toBe(false);
  });

  it.each([
    ['one signature of two', world.sign(world.header(), 1), 'FLEET_SIGNATURES_TOO_FEW'],
    ['no signature', world.sign(world.header(), 0), 'FLEET_SIGNATURES_TOO_FEW'],
    ['a changed serial', changed(good, 55, 2), 'FLEET_SIGNATURE_INVALID'],
    ['a changed time', changed(good, 127, 1), 'FLEET_SIGNATURE_INVALID'],
    ['a changed body', changed(good, 88, 1), 'FLEET_SIGNATURE_INVALID'],
    ['a changed predecessor', changed(good, 56, 1), 'FLEET_SIGNATURE_INVALID'],
    ['a changed signature', changed(good, 320, 1), 'FLEET_SIGNATURE_INVALID'],
    ['another network', world.sign(world.header({ network: fixed('other') })), 'FLEET_NETWORK_OTHER'],
    [
      'another authority',
      world.sign(world.header({ authorityId: fixed('other', 16) })),
      'FLEET_AUTHORITY_OTHER',
    ],
  ])('refuses %s', (_, signed, code) => {
    expect(codeFor(signed)).toBe(code);
  });

  it('refuses a manifest below the minimum serial', () => {
    expect(codeFor(good, { minimumSerial: 2 })).toBe('FLEET_SERIAL_TOO_LOW');
    expect(codeFor(good, { minimumSerial: 1 })).toBe('none');
  });

  it('does not count keys of others, and is not broken by them', () => {
    const stranger = new AuthorityWorld('stranger');
    const header = world.header();
    const [first, second] = world.signers as [Ed25519Signer, Ed25519Signer];
    expect(codeFor(signedBy(header, [first, ...stranger.signers]))).toBe('FLEET_SIGNATURES_TOO_FEW');
    // While an authority changes its keys, those of both sets sign.
    expect(codeFor(signedBy(header, [first, second, ...stranger.signers]))).toBe('none');
  });

  it('refuses a signature over the header without its label', () => {
    const header = world.header();
    const signatures = world.signers.slice(0, 2).map((signer) => ({
      key: signer.publicKey,
      signature: signer.sign(encodeHeader(header)),
    }));
    expect(codeFor(encodeSignedHeader({ header, signatures }))).toBe('FLEET_SIGNATURE_INVALID');
  });

  it('signs label and header, and nothing else', () => {
    const { header, signatures } = decodeSignedHeader(good);
    const message = concatBytes(utf8('latchkey/v1/fleet'), encodeHeader(header));
    for (const { key, signature } of signatures) {
      const signer = world.signers.find(({ publicKey }) => Buffer.compare(publicKey, key) === 0);
      expect(signature).toEqual(signer?.sign(message));
    }
  });

  it('refuses the same manifest signed in the name of a key with a forged signature', () => {
    // OpenSSL accepts R = identity, S = 0 for a key of small order; the trust section refuses such keys.
    const header = world.header();
    const signature = tryFromHex(`01${'00'.repeat(63)}`) ?? new Uint8Array();
    const key = world.signers[0]?.publicKey ?? new Uint8Array();
    const [entry] = decodeSignedHeader(good).signatures.filter((one) => Buffer.compare(one.key, key) !== 0);
    const forged = encodeSignedHeader({
      header,
      signatures: [{ key, signature }, ...(entry ? [entry] : [])],
    });
    expect(codeFor(forged)).toBe('FLEET_SIGNATURE_INVALID');
  });
});
