import { ristretto255 } from '@noble/curves/ed25519.js';

const { Point } = ristretto255;
const scalars = Point.Fn;
type Point = InstanceType<typeof Point>;

/** Bytes of an encoded group element or scalar (RFC 9496). */
export const RISTRETTO_BYTES = 32;

/** A number modulo the group order. JavaScript's big integers are not constant-time: see docs/epochs.md. */
export type Scalar = bigint;

/** Arithmetic modulo the group order 2^252 + 27742317777372353535851937790883648493. */
export const scalarField = {
  add: (a: Scalar, b: Scalar): Scalar => scalars.add(a, b),
  subtract: (a: Scalar, b: Scalar): Scalar => scalars.sub(a, b),
  multiply: (a: Scalar, b: Scalar): Scalar => scalars.mul(a, b),
  /** @throws when `a` is zero. */
  invert: (a: Scalar): Scalar => scalars.inv(a),
  /** 32 bytes, little-endian. */
  toBytes: (a: Scalar): Uint8Array => scalars.toBytes(a),
  /** Reduces 64 uniform bytes, little-endian, so that the bias is negligible (RFC 9496 section 4.4). */
  fromUniformBytes(bytes: Uint8Array): Scalar {
    if (bytes.length !== 64) throw new RangeError(`a uniform scalar needs 64 bytes, got ${bytes.length}`);
    return scalars.create(BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`));
  },
  /** Reads 32 canonical bytes; `undefined` for another length or a value not below the order. */
  tryFromBytes(bytes: Uint8Array): Scalar | undefined {
    if (bytes.length !== RISTRETTO_BYTES) return undefined;
    const value = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
    return value < scalars.ORDER ? value : undefined;
  },
};

/** An element of the prime-order group ristretto255 (RFC 9496). */
export class GroupElement {
  readonly #point: Point;
  static readonly identity = new GroupElement(Point.ZERO);

  private constructor(point: Point) {
    this.#point = point;
  }

  /** The generator times a scalar. */
  static ofScalar(scalar: Scalar): GroupElement {
    return scalar === 0n ? GroupElement.identity : new GroupElement(Point.BASE.multiply(scalar));
  }

  /** Reads 32 canonical bytes (RFC 9496 section 4.3.1); `undefined` for anything else. */
  static tryFromBytes(bytes: Uint8Array): GroupElement | undefined {
    if (bytes.length !== RISTRETTO_BYTES) return undefined;
    try {
      return new GroupElement(Point.fromBytes(bytes));
    } catch {
      return undefined;
    }
  }

  add(other: GroupElement): GroupElement {
    return new GroupElement(this.#point.add(other.#point));
  }

  /** Multiplies by a public scalar: the time that this takes depends on it. */
  timesPublic(scalar: Scalar): GroupElement {
    return scalar === 0n ? GroupElement.identity : new GroupElement(this.#point.multiplyUnsafe(scalar));
  }

  equals(other: GroupElement): boolean {
    return this.#point.equals(other.#point);
  }

  /** 32 canonical bytes. */
  toBytes(): Uint8Array {
    return this.#point.toBytes();
  }
}
