import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { copyBytes } from '../bytes/copy-bytes.ts';

/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 section 4). */
const SPKI_PREFIX = Uint8Array.of(0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0);

/**
 * An Ed25519 public key whose signatures count exactly where a Substrate chain counts them, which is by ZIP 215.
 *
 * OpenSSL is stricter: it wants the equation without the cofactor. For signers who follow RFC 8032 the two never
 * differ, but a signer can make a signature that the one takes and the other does not, and a single authority could so
 * spoil evidence that the whole chain has accepted. What OpenSSL refuses is therefore asked again of noble, which is
 * some thirty times slower; what OpenSSL accepts, ZIP 215 accepts.
 */
export class Ed25519ChainKey {
  readonly #raw: Uint8Array;
  #imported: KeyObject | undefined;

  /** @throws RangeError unless the key has 32 bytes. Whether they are a point is seen when verifying. */
  constructor(publicKey: Uint8Array) {
    this.#raw = copyBytes(publicKey, 'publicKey');
    if (this.#raw.length !== 32) {
      throw new RangeError(`an Ed25519 public key has 32 bytes, got ${this.#raw.length}`);
    }
  }

  /** False for anything malformed, such as a signature that has not 64 bytes. */
  verify(message: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== 64) return false;
    return this.#verifyStrictly(message, signature) || this.#verifyAsChain(message, signature);
  }

  #verifyStrictly(message: Uint8Array, signature: Uint8Array): boolean {
    // OpenSSL takes any 32 bytes for a key here and finds out later.
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
