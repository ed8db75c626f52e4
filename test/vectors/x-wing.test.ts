import { describe, expect, it } from 'vitest';
import { toHex, tryFromHex } from '../../src/bytes/hex.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { xWingDecapsulate, xWingEncapsulate, xWingPublicKey } from '../../src/crypto/x-wing.ts';
import { thrownBy } from '../support/thrown.ts';

const bytes = (hex: string): Uint8Array => tryFromHex(hex) ?? expect.fail(`not hex: ${hex}`);

/** The first test vector of draft-connolly-cfrg-xwing-kem; public key and ciphertext by a digest of all three results. */
const published = {
  seed: '7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26',
  encapsulationSeed:
    '3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2' +
    '35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2',
  sharedSecret: 'd2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384',
  digest: 'c2f4c2fdda6784454063b54c554d7fa58c08c1a09b354bb00503925eb34c7541',
};

const encapsulate = (publicKey: Uint8Array) =>
  xWingEncapsulate(publicKey, () => bytes(published.encapsulationSeed)) ?? expect.fail('no encapsulation');

describe('X-Wing, test vector of the draft', () => {
  const seed = bytes(published.seed);
  const publicKey = xWingPublicKey(seed);

  it('gives public key, ciphertext and shared secret', () => {
    const { ciphertext, sharedSecret } = encapsulate(publicKey);
    expect(toHex(sharedSecret)).toBe(published.sharedSecret);
    expect(toHex(sha256(publicKey, ciphertext, sharedSecret))).toBe(published.digest);
  });

  it('decapsulates to the same secret', () => {
    const { ciphertext } = encapsulate(publicKey);
    expect(toHex(xWingDecapsulate(ciphertext, seed) ?? new Uint8Array(0))).toBe(published.sharedSecret);
  });

  it.each([
    ['the ML-KEM half', 0],
    ['the X25519 half', 1100],
  ])('a change in %s of the ciphertext gives another secret', (_half, at) => {
    const { ciphertext } = encapsulate(publicKey);
    ciphertext[at] = (ciphertext[at] ?? 0) ^ 1;
    expect(toHex(xWingDecapsulate(ciphertext, seed) ?? new Uint8Array(0))).not.toBe(published.sharedSecret);
  });

  it('a point of small order in either direction gives nothing', () => {
    const weakKey = new Uint8Array(publicKey);
    weakKey.fill(0, 1184);
    expect(xWingEncapsulate(weakKey)).toBeUndefined();
    const { ciphertext } = encapsulate(publicKey);
    ciphertext.fill(0, 1088);
    expect(xWingDecapsulate(ciphertext, seed)).toBeUndefined();
  });

  it('refuses an encapsulation key with a coefficient above the modulus', () => {
    const malformed = new Uint8Array(publicKey);
    malformed.fill(0xff, 0, 3);
    expect(xWingEncapsulate(malformed)).toBeUndefined();
  });

  it('refuses other lengths', () => {
    expect(thrownBy(() => xWingPublicKey(new Uint8Array(31)))).toBeInstanceOf(RangeError);
    expect(thrownBy(() => xWingEncapsulate(new Uint8Array(1215)))).toBeInstanceOf(RangeError);
    expect(thrownBy(() => xWingDecapsulate(new Uint8Array(1121), seed))).toBeInstanceOf(RangeError);
  });
});
