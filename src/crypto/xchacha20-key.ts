import { createCipheriv, createDecipheriv } from 'node:crypto';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { CHACHA_BLOCK_BYTES } from './chacha-rounds.ts';
import { decryptFirstBlock, hchacha20 } from './hchacha20.ts';
import { plainBytes } from './plain-bytes.ts';
import { XCHACHA_NONCE_BYTES, XCHACHA_TAG_BYTES } from './xchacha20-poly1305.ts';

const KEY_BYTES = 32;

/**
 * XChaCha20-Poly1305 for many messages under one key. The draft defines it as HChaCha20 of the first 16 bytes of the
 * nonce, which gives a subkey for ChaCha20-Poly1305 (RFC 8439) with the other 8; OpenSSL computes both. Sealed bytes are
 * the same as those of `xchacha20Poly1305Seal`; a test compares them.
 */
export class XChaCha20Key {
  readonly #key: Uint8Array;
  readonly #subkey = new Uint8Array(KEY_BYTES);
  /** What ChaCha20 gets: four zero bytes, then the last eight of the nonce. */
  readonly #nonce = new Uint8Array(12);
  /** Block counter 1 and {@link #nonce}, as OpenSSL's bare ChaCha20 takes them. */
  readonly #firstBlock = Uint8Array.of(1, ...new Uint8Array(15));
  #wiped = false;

  /** Copies the 32 bytes. @throws RangeError on another length. */
  constructor(key: Uint8Array) {
    this.#key = copyBytes(key, 'key');
    if (key.length !== KEY_BYTES)
      throw new RangeError(`an XChaCha20 key must be 32 bytes, got ${key.length}`);
  }

  /**
   * Seals `plaintext` and writes nonce ‖ ciphertext ‖ tag into `into` from `at`.
   * @param nonce 24 bytes, never used before under this key.
   */
  sealInto(
    into: Uint8Array,
    at: number,
    nonce: Uint8Array,
    associatedData: Uint8Array,
    plaintext: Uint8Array,
  ): void {
    this.#derive(nonce);
    const cipher = createCipheriv('chacha20-poly1305', this.#subkey, this.#nonce, {
      authTagLength: XCHACHA_TAG_BYTES,
    });
    cipher.setAAD(associatedData, { plaintextLength: plaintext.length });
    into.set(nonce, at);
    into.set(cipher.update(plaintext), at + XCHACHA_NONCE_BYTES);
    cipher.final();
    into.set(cipher.getAuthTag(), at + XCHACHA_NONCE_BYTES + plaintext.length);
  }

  /**
   * Opens nonce ‖ ciphertext ‖ tag.
   * @returns the plaintext, or `undefined` when anything does not match.
   */
  open(sealed: Uint8Array, associatedData: Uint8Array): Uint8Array | undefined {
    const end = sealed.length - XCHACHA_TAG_BYTES;
    if (end < XCHACHA_NONCE_BYTES) return undefined;
    this.#derive(sealed);
    const decipher = createDecipheriv('chacha20-poly1305', this.#subkey, this.#nonce, {
      authTagLength: XCHACHA_TAG_BYTES,
    });
    decipher.setAAD(associatedData, { plaintextLength: end - XCHACHA_NONCE_BYTES });
    decipher.setAuthTag(sealed.subarray(end));
    const plaintext = decipher.update(sealed.subarray(XCHACHA_NONCE_BYTES, end));
    try {
      decipher.final();
    } catch {
      plaintext.fill(0);
      return undefined;
    }
    return plainBytes(plaintext);
  }

  /**
   * Decrypts the first `length` bytes of nonce ‖ ciphertext without checking the tag. Only for ciphertext that
   * another MAC has authenticated before.
   */
  decryptAuthenticated(sealed: Uint8Array, length: number): Uint8Array {
    this.#derive(sealed);
    const part = sealed.subarray(XCHACHA_NONCE_BYTES, XCHACHA_NONCE_BYTES + length);
    // Block 0 of the key stream makes the Poly1305 key (RFC 8439 section 2.8), the message starts at block 1.
    this.#firstBlock.set(this.#nonce, 4);
    return plainBytes(createDecipheriv('chacha20', this.#subkey, this.#firstBlock).update(part));
  }

  /**
   * As {@link decryptAuthenticated}, into memory of the caller.
   * @param into gets the first `length` bytes, at most 64.
   */
  decryptFirst(sealed: Uint8Array, into: Uint8Array, length: number): void {
    this.#requireKey();
    if (length > CHACHA_BLOCK_BYTES || !decryptFirstBlock(this.#key, sealed, into, length))
      into.set(this.decryptAuthenticated(sealed, length));
  }

  /** Overwrites the key; later use throws. */
  wipe(): void {
    this.#wiped = true;
    this.#key.fill(0);
    this.#subkey.fill(0);
  }

  #requireKey(): void {
    if (this.#wiped) throw new TypeError('this key was wiped');
  }

  #derive(nonce: Uint8Array): void {
    this.#requireKey();
    hchacha20(this.#key, nonce.subarray(0, 16), this.#subkey);
    this.#nonce.set(nonce.subarray(16, XCHACHA_NONCE_BYTES), 4);
  }
}
