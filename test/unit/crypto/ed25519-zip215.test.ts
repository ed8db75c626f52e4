import { ed25519 } from '@noble/curves/ed25519.js';
import { describe, expect, it } from 'vitest';
import { Ed25519Signer, ed25519Verify } from '../../../src/crypto/ed25519.ts';
import { Ed25519ChainKey } from '../../../src/crypto/ed25519-zip215.ts';
import { sha512 } from '../../../src/crypto/sha2.ts';

const { Point } = ed25519;
const message = new Uint8Array(53).fill(5);
const signer = new Ed25519Signer(new Uint8Array(32).fill(3));

/** A point of order eight, which the cofactor takes to zero. */
function pointOfSmallOrder(): InstanceType<typeof Point> {
  for (let y = 2; ; y += 1) {
    try {
      const encoded = new Uint8Array(32);
      encoded[0] = y;
      const torsion = Point.fromBytes(encoded, true)
        .multiplyUnsafe(Point.Fn.ORDER - 1n)
        .add(Point.fromBytes(encoded, true));
      if (!torsion.equals(Point.ZERO)) return torsion;
    } catch {
      // Not every y is on the curve.
    }
  }
}

describe('Ed25519 as Substrate verifies it (ZIP 215)', () => {
  it('accepts honest signatures and refuses forged ones', () => {
    const key = new Ed25519ChainKey(signer.publicKey);
    const signature = signer.sign(message);
    expect(key.verify(message, signature)).toBe(true);
    expect(key.verify(message.subarray(1), signature)).toBe(false);
    expect(key.verify(message, signature.subarray(1))).toBe(false);
    expect(key.verify(message, new Uint8Array(64))).toBe(false);
    expect(key.verify(message, new Uint8Array(64).fill(0xff))).toBe(false);
    expect(new Ed25519ChainKey(new Uint8Array(32).fill(0xee)).verify(message, signature)).toBe(false);
  });

  it('accepts a signature that is valid only with the cofactor, which OpenSSL refuses', () => {
    // A key with a part of small order: A = A0 + T. Then 8·s·B = 8·R + 8·k·A holds, and s·B = R + k·A holds for few signatures.
    const { scalar, pointBytes } = ed25519.utils.getExtendedPublicKey(new Uint8Array(32).fill(9));
    const publicKey = Point.fromBytes(pointBytes).add(pointOfSmallOrder()).toBytes();
    const mixed = new Ed25519ChainKey(publicKey);
    const results = Array.from({ length: 16 }, (_, index) => {
      const nonce = BigInt(index + 2);
      const commitment = Point.BASE.multiply(nonce).toBytes();
      const challenge = challengeOf(commitment, publicKey);
      const s = Point.Fn.create(nonce + challenge * scalar);
      const signature = new Uint8Array([...commitment, ...Point.Fn.toBytes(s)]);
      expect(mixed.verify(message, signature)).toBe(true);
      return ed25519Verify(message, signature, publicKey);
    });
    expect(results).toContain(false);
  });

  it('a key of another length is misuse', () => {
    expect(() => new Ed25519ChainKey(new Uint8Array(31))).toThrow(RangeError);
  });
});

/** SHA-512 over commitment, key and message, modulo the group order. */
function challengeOf(commitment: Uint8Array, publicKey: Uint8Array): bigint {
  const digest = sha512(commitment, publicKey, message).toReversed();
  return Point.Fn.create(BigInt(`0x${Buffer.from(digest).toString('hex')}`));
}
