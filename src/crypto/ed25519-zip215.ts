import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { copyBytes } from '../bytes/copy-bytes.ts';

/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 section 4). */
const SPKI_PREFIX = Uint8Array.of(0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0);

/**
 * An Ed25519 public key that accepts exactly the signatures that a Substrate chain accepts (ZIP 215).
 *
 * OpenSSL is stricter: it checks the equation without the cofactor. For signers that follow RFC 8032 the result is the
 * same, but a signer can make a signature that a chain accepts and OpenSSL refuses. A single authority could then make
 * us refuse evidence that the whole chain has accepted. Every signature that OpenSSL accepts is valid by ZIP 215, so
 * only those that OpenSSL refuses are checked again by noble, which is thirty times slower.
 */
export class Ed25519ChainKey {
  readonly #raw: Uint8Array;
  #imported: KeyObject | undefined;

  /** Copies the key. @throws RangeError unless it has 32 bytes. {@link verify} finds out whether they are a point. */
  constructor(publicKey: Uint8Array) {
    this.#raw = copyBytes(publicKey, 'publicKey');
    if (this.#raw.length !== 32) {
      throw new RangeError(`an Ed25519 public key has 32 bytes, got ${this.#raw.length}`);
    }
  }

  /** False for anything malformed, such as a signature of another length than 64 bytes. */
  verify(message: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== 64) return false;
    return this.#verifyStrictly(message, signature) || this.#verifyAsChain(message, signature);
  }

  #verifyStrictly(message: Uint8Array, signature: Uint8Array): boolean {
    // OpenSSL imports any 32 bytes here, and finds out in verify whether they are a point.
    this.#imported ??= createPublicKey({
      format: 'der',
      type: 'spki',
      key: Buffer.concat([SPKI_PREFIX, this.#raw]),
    });
    return verify(null, message, this.#imported, signature);
  }

  #verifyAsChain(message: Uint8Array, signature: Uint8Array): boolean {
    return ed25519.verify(signature, message, this.#raw, { zip215: true });
  }
}

/**
 * Whether a public key has a signature that anybody can make: its point has small order, or it is no point. OpenSSL
 * accepts such keys, and the 32 zeros of a placeholder are one.
 */
export function isWeakEd25519Key(publicKey: Uint8Array): boolean {
  try {
    return ed25519.Point.fromBytes(publicKey, true).isSmallOrder();
  } catch {
    return true;
  }
}
