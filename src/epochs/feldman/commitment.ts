import { concatBytes } from '../../bytes/concat.ts';
import { GroupElement, RISTRETTO_BYTES, type Scalar, scalarField } from '../../crypto/ristretto255.ts';

/** A polynomial over the scalars; the constant coefficient first. */
export type Polynomial = readonly Scalar[];

/** Value of the polynomial at a small index, by Horner's rule. */
export function evaluate(polynomial: Polynomial, index: number): Scalar {
  const x = BigInt(index);
  return polynomial.reduceRight((sum, coefficient) => {
    return scalarField.add(scalarField.multiply(sum, x), coefficient);
  }, 0n);
}

/** Feldman's commitment to a polynomial: the generator times each coefficient (Feldman 1987, section 4). */
export class Commitment {
  readonly #elements: readonly GroupElement[];

  private constructor(elements: readonly GroupElement[]) {
    this.#elements = elements;
  }

  static to(polynomial: Polynomial): Commitment {
    return new Commitment(polynomial.map((coefficient) => GroupElement.ofScalar(coefficient)));
  }

  /** Reads exactly `count` canonical elements; `undefined` for anything else. */
  static tryFromBytes(bytes: Uint8Array, count: number): Commitment | undefined {
    if (bytes.length !== count * RISTRETTO_BYTES) return undefined;
    const elements: GroupElement[] = [];
    for (let offset = 0; offset < bytes.length; offset += RISTRETTO_BYTES) {
      const element = GroupElement.tryFromBytes(bytes.subarray(offset, offset + RISTRETTO_BYTES));
      if (element === undefined) return undefined;
      elements.push(element);
    }
    return new Commitment(elements);
  }

  /** Sum of commitments of one degree, each times a public scalar. */
  static combine(
    parts: readonly { readonly commitment: Commitment; readonly times: Scalar }[],
    count: number,
  ): Commitment {
    const sum = Array.from({ length: count }, (_, position) =>
      parts.reduce((total, { commitment, times }) => {
        const element = commitment.#elements[position] ?? GroupElement.identity;
        return total.add(times === 1n ? element : element.timesPublic(times));
      }, GroupElement.identity),
    );
    return new Commitment(sum);
  }

  /** Commitment to the polynomial's constant: the public key. */
  get constant(): GroupElement {
    return this.#elements[0] ?? GroupElement.identity;
  }

  /** Commitment to the polynomial's value at the index. */
  at(index: number): GroupElement {
    const x = BigInt(index);
    return this.#elements.reduceRight(
      (sum, element) => sum.timesPublic(x).add(element),
      GroupElement.identity,
    );
  }

  /** Whether the scalar is the polynomial's value at the index. */
  holds(index: number, value: Scalar): boolean {
    return this.at(index).equals(GroupElement.ofScalar(value));
  }

  toBytes(): Uint8Array {
    return concatBytes(...this.#elements.map((element) => element.toBytes()));
  }
}

/** Lagrange's coefficient at zero of one index among others. @throws RangeError for a repeated or zero index. */
export function lagrangeAtZero(index: number, among: readonly number[]): Scalar {
  if (new Set(among).size !== among.length || among.includes(0))
    throw new RangeError('indices must differ from each other and from 0');
  return among
    .filter((other) => other !== index)
    .reduce((product, other) => {
      const factor = scalarField.multiply(
        BigInt(other),
        scalarField.invert(scalarField.subtract(BigInt(other), BigInt(index))),
      );
      return scalarField.multiply(product, factor);
    }, 1n);
}
