import { createPublicKey, type KeyObject, verify } from 'node:crypto';

const COORDINATE_BYTES = 32;

/** A P-256 public key imported into OpenSSL; importing checks that the point is on the curve. */
export class P256PublicKey {
  /** Made once: building it on every call costs a microsecond of the fifty. */
  readonly #key: { readonly key: KeyObject; readonly dsaEncoding: 'ieee-p1363' };

  private constructor(key: KeyObject) {
    this.#key = { key, dsaEncoding: 'ieee-p1363' };
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
    const x = Buffer.from(xy.subarray(0, COORDINATE_BYTES)).toString('base64url');
    const y = Buffer.from(xy.subarray(COORDINATE_BYTES)).toString('base64url');
    try {
      return new P256PublicKey(createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x, y } }));
    } catch {
      return undefined;
    }
  }

  /** ECDSA with SHA-256 (FIPS 186-5 section 6.4); the signature is r ‖ s, 64 bytes (IEEE P1363). */
  verify(message: Uint8Array, signature: Uint8Array): boolean {
    return verify('sha256', message, this.#key, signature);
  }
}
