import { inspect } from 'node:util';
import { equalConstantTime } from '../crypto/constant-time.ts';

const PRINTED = '[secret]';

/**
 * Bytes that must not leak: prints as `[secret]` wherever it ends up, compares in constant time, wipes on request.
 * Wiping is best effort: the garbage collector may have moved copies, which is why secrets never become strings.
 */
export class SecretBytes {
  readonly #bytes: Uint8Array;
  #wiped = false;

  /** Takes ownership of `bytes`: the caller must not keep or change them. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
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
