import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import { blake2b, blake2s } from '@noble/hashes/blake2.js';
import { expand, extract } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { scrypt as nobleScrypt } from '@noble/hashes/scrypt.js';
import { sha256 as nobleSha256, sha384 as nobleSha384, sha512 as nobleSha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../src/bytes/concat.ts';
import { blake2b512, blake2s256 } from '../../src/crypto/blake2.ts';
import { chacha20Poly1305Open, chacha20Poly1305Seal } from '../../src/crypto/chacha20-poly1305.ts';
import { equalConstantTime } from '../../src/crypto/constant-time.ts';
import { deriveKey, hkdfExpand, hkdfExtract, hmacSha256 } from '../../src/crypto/hkdf.ts';
import { P256PublicKey } from '../../src/crypto/p256.ts';
import { scrypt } from '../../src/crypto/scrypt.ts';
import { sha256, sha384, sha512 } from '../../src/crypto/sha2.ts';
import {
  generateEphemeralX25519KeyPair,
  generateX25519KeyPair,
  x25519KeyPairFromSecret,
} from '../../src/crypto/x25519.ts';

const exactly = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const some = fc.uint8Array({ maxLength: 200 });
const runs = { numRuns: 60 };

describe('hashes and derivations against @noble/hashes', () => {
  it('SHA-256, SHA-384 and SHA-512 over parts', () => {
    fc.assert(
      fc.property(some, some, (a, b) => {
        const whole = Uint8Array.of(...a, ...b);
        expect(sha256(a, b)).toEqual(nobleSha256(whole));
        expect(sha384(a, b)).toEqual(nobleSha384(whole));
        expect(sha512(a, b)).toEqual(nobleSha512(whole));
      }),
      runs,
    );
  });

  it('BLAKE2b-512 and BLAKE2s-256 over parts', () => {
    fc.assert(
      fc.property(some, some, (a, b) => {
        const whole = Uint8Array.of(...a, ...b);
        expect(blake2b512(a, b)).toEqual(blake2b(whole));
        expect(blake2s256(a, b)).toEqual(blake2s(whole));
      }),
      runs,
    );
  });

  it('HMAC-SHA-256, HKDF-Extract, HKDF-Expand and labelled keys', () => {
    fc.assert(
      fc.property(some, some, fc.integer({ min: 1, max: 255 * 32 }), (key, message, length) => {
        expect(hmacSha256(key, message)).toEqual(hmac(nobleSha256, key, message));
        const salt = key.length === 0 ? undefined : key;
        expect(hkdfExtract(key, message)).toEqual(extract(nobleSha256, message, salt));
        const prk = hkdfExtract(key, message);
        expect(hkdfExpand(prk, message, length)).toEqual(expand(nobleSha256, prk, message, length));
        const label = new TextEncoder().encode('records');
        const labelled = expand(nobleSha256, extract(nobleSha256, message, undefined), label, 32);
        expect(deriveKey(message, 'records')).toEqual(labelled);
      }),
      runs,
    );
  });

  it('scrypt', async () => {
    const [password, salt] = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)];
    expect(await scrypt(password, salt, { logN: 4, r: 8, p: 1 })).toEqual(
      nobleScrypt(password, salt, { N: 16, r: 8, p: 1, dkLen: 32 }),
    );
  });
});

describe('ciphers and curves against @noble', () => {
  it('ChaCha20-Poly1305', () => {
    fc.assert(
      fc.property(exactly(32), exactly(12), some, some, (key, nonce, aad, plaintext) => {
        const sealed = chacha20Poly1305Seal(key, nonce, aad, plaintext);
        expect(sealed).toEqual(chacha20poly1305(key, nonce, aad).encrypt(plaintext));
        expect(chacha20Poly1305Open(key, nonce, aad, sealed)).toEqual(plaintext);
        const damaged = Uint8Array.from(sealed, (byte, index) => (index === 0 ? byte ^ 1 : byte));
        expect(chacha20Poly1305Open(key, nonce, aad, damaged)).toBeUndefined();
      }),
      runs,
    );
  });

  it('X25519 public keys and shared secrets, of imported and of generated keys', () => {
    fc.assert(
      fc.property(exactly(32), (secret) => {
        const imported = x25519KeyPairFromSecret(secret);
        expect(imported.publicKey).toEqual(x25519.getPublicKey(secret));
        expect(imported.privateKey.exportSecret()).toEqual(secret);
        for (const made of [generateX25519KeyPair(), generateEphemeralX25519KeyPair()]) {
          const shared = x25519.getSharedSecret(secret, made.publicKey);
          expect(imported.privateKey.diffieHellman(made.publicKey)).toEqual(shared);
          expect(made.privateKey.diffieHellman(imported.publicKey)).toEqual(shared);
        }
        const kept = generateX25519KeyPair();
        expect(x25519.getPublicKey(kept.privateKey.exportSecret())).toEqual(kept.publicKey);
        expect(() => generateEphemeralX25519KeyPair().privateKey.exportSecret()).toThrow(TypeError);
      }),
      { numRuns: 20 },
    );
  });

  it('ECDSA P-256 with SHA-256', () => {
    fc.assert(
      fc.property(exactly(32), some, (seed, message) => {
        const secretKey = p256.utils.randomSecretKey(Uint8Array.of(...seed, ...seed.subarray(0, 16)));
        const publicKey = P256PublicKey.fromRaw(p256.getPublicKey(secretKey, false).subarray(1));
        const raw = p256.sign(message, secretKey, { lowS: false });
        expect(publicKey?.verify(message, raw)).toBe(true);
        const longer = Uint8Array.of(...message, 0);
        expect(publicKey?.verify(longer, raw)).toBe(false);
      }),
      { numRuns: 20 },
    );
  });

  it('a P-256 point off the curve is refused', () => {
    expect(P256PublicKey.fromRaw(new Uint8Array(64).fill(1))).toBeUndefined();
    expect(() => P256PublicKey.fromRaw(new Uint8Array(63))).toThrow(RangeError);
  });

  it('a P-256 point has one encoding: coordinates above the prime are refused', () => {
    const { Fp } = p256.Point;
    // Points with an x so small that x plus the prime still fits into 32 bytes.
    for (const x of [0n, 5n, 6n]) {
      const y = Fp.sqrt(p256.Point.CURVE().b + Fp.create(x ** 3n - 3n * x));
      const raw = (coordinate: bigint) => concatBytes(Fp.toBytes(coordinate % Fp.ORDER), Fp.toBytes(y));
      expect(P256PublicKey.fromRaw(raw(x))).toBeDefined();
      const beyond = new Uint8Array(Buffer.from((x + Fp.ORDER).toString(16), 'hex'));
      expect(P256PublicKey.fromRaw(concatBytes(beyond, Fp.toBytes(y)))).toBeUndefined();
    }
  });

  it('constant-time comparison agrees with plain comparison', () => {
    fc.assert(
      fc.property(some, some, (a, b) => {
        expect(equalConstantTime(a, new Uint8Array(a))).toBe(true);
        expect(equalConstantTime(a, b)).toBe(Buffer.compare(a, b) === 0);
      }),
      runs,
    );
  });
});
