import { p256 } from '@noble/curves/nist.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, equalBytes } from '../../src/bytes/concat.ts';
import type { Seed } from './seed.ts';

/**
 * A P-256 key that signs with `@noble/curves`, so that the maker of quotes and their verifier (OpenSSL) are two
 * implementations. Not constant-time and not meant to be: these keys protect nothing.
 */
export class SigningKey {
  readonly #secret: Uint8Array;
  /** Nonces are those of RFC 6979, so one message has one signature; a platform signs the same QE report every time. */
  #last: { readonly message: Uint8Array; readonly signature: Uint8Array } | undefined;
  /** x ‖ y, 64 bytes, as quotes carry it. */
  readonly publicKey: Uint8Array;

  private constructor(secret: Uint8Array) {
    this.#secret = secret;
    this.publicKey = p256.getPublicKey(secret, false).slice(1);
  }

  /** The key of one label. */
  static derive(seed: Seed, label: string): SigningKey {
    return new SigningKey(p256.utils.randomSecretKey(seed.bytes(`key/${label}`, 48)));
  }

  /** ECDSA with SHA-256, r ‖ s (64 bytes), nonces by RFC 6979; s is not normalised, as Intel's is not. */
  sign(message: Uint8Array): Uint8Array {
    if (this.#last !== undefined && equalBytes(this.#last.message, message))
      return this.#last.signature.slice();
    const signature = p256.sign(message, this.#secret, { lowS: false });
    this.#last = { message: message.slice(), signature };
    return signature.slice();
  }

  /** As {@link sign}, in the DER form of X.509. */
  signDer(message: Uint8Array): Uint8Array {
    return p256.Signature.fromBytes(this.sign(message)).toBytes('der');
  }

  /** SHA-1 is not available; 20 bytes of SHA-256 identify a key as well (RFC 7093 section 2, method 1). */
  get keyIdentifier(): Uint8Array {
    return sha256(concatBytes(Uint8Array.of(4), this.publicKey)).slice(0, 20);
  }
}
