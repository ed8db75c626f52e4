// The class of src/crypto/p256.ts without Node.js.
import { p256 } from '@noble/curves/nist.js';

const COORDINATE_BYTES = 32;

/** A P-256 public key; importing checks that the point is on the curve. */
export class P256PublicKey {
  /** 0x04 ‖ x ‖ y. */
  readonly #point: Uint8Array;

  private constructor(point: Uint8Array) {
    this.#point = point;
  }

  /**
   * Imports x ‖ y, 64 bytes, as quotes carry it.
   * @returns `undefined` when the point is not on the curve.
   * @throws RangeError on another length.
   */
  static fromRaw(xy: Uint8Array): P256PublicKey | undefined {
    if (xy.length !== 2 * COORDINATE_BYTES) {
      throw new RangeError(`P-256 public key must be 64 bytes (x ‖ y), got ${xy.length}`);
    }
    const point = new Uint8Array(1 + xy.length);
    point[0] = 4;
    point.set(xy, 1);
    try {
      p256.Point.fromBytes(point).assertValidity();
      return new P256PublicKey(point);
    } catch {
      return undefined;
    }
  }

  /** ECDSA with SHA-256 (FIPS 186-5 section 6.4); the signature is r ‖ s, 64 bytes (IEEE P1363). */
  verify(message: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== 2 * COORDINATE_BYTES) return false;
    try {
      // As OpenSSL does: Intel does not normalise s, so high values are valid.
      return p256.verify(signature, message, this.#point, { lowS: false, format: 'compact', prehash: true });
    } catch {
      return false;
    }
  }
}
