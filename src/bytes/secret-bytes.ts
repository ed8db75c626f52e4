import { inspect } from 'node:util';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { adoptBytes, copyBytes } from './copy-bytes.ts';

const PRINTED = '[secret]';
const NO_BYTES = new Uint8Array(0);

/**
 * Secret bytes: printed as `[secret]`, compared in constant time, wiped on request.
 * Wiping is best effort: the garbage collector may have moved copies. Strings cannot be overwritten at all, so secrets
 * are never strings.
 */
export class SecretBytes {
  #bytes: Uint8Array;
  #wiped = false;

  /**
   * Copies `bytes`, which stay the caller's: neither {@link wipe} nor a change by the caller reaches the other.
   * @throws TypeError for anything but readable bytes.
   */
  constructor(bytes: Uint8Array) {
    this.#bytes = copyBytes(bytes, 'secret');
  }

  /**
   * Takes over bytes that were made for this secret, without a copy that is never wiped. The caller must not keep them.
   * @throws TypeError for anything but readable bytes.
   */
  static adopt(bytes: Uint8Array): SecretBytes {
    const secret = new SecretBytes(NO_BYTES);
    secret.#bytes = adoptBytes(bytes, 'secret');
    return secret;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /**
   * The bytes themselves, valid until {@link wipe}; do not keep them.
   * @throws TypeError when the secret was wiped, so that no key of zeros is ever used.
   */
  reveal(): Uint8Array {
    if (this.#wiped) throw new TypeError('this secret was wiped');
    return this.#bytes;
  }

  equals(other: SecretBytes): boolean {
    return equalConstantTime(this.reveal(), other.reveal());
  }

  /** Overwrites the bytes with zeros; later {@link reveal} throws. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#wiped = true;
  }

  toString(): string {
    return PRINTED;
  }

  toJSON(): string {
    return PRINTED;
  }

  [inspect.custom](): string {
    return PRINTED;
  }
}
