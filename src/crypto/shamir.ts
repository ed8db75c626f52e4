import {
  addPlanes,
  addProduct,
  invertPublic,
  multiplyPublic,
  PLANE_BYTES,
  type Planes,
  packPlanes,
  unpackPlanes,
  zeroPlanes,
} from './gf256-planes.ts';
import { type RandomSource, systemRandom } from './random.ts';

/**
 * A share of a 32-byte secret: 32 bytes of the polynomials' values, then their common x coordinate in the last byte,
 * which is never 0.
 */
export const SHARE_BYTES = 33;
const SECRET_BYTES = PLANE_BYTES;
const MOST_SHARES = 255;

/** The x coordinate of a share. @throws RangeError when the share has not 33 bytes. */
export function shareCoordinate(share: Uint8Array): number {
  const x = share[SHARE_BYTES - 1];
  if (share.length !== SHARE_BYTES || x === undefined) {
    throw new RangeError(`a share must be ${SHARE_BYTES} bytes, got ${share.length}`);
  }
  return x;
}

/**
 * Splits a 32-byte secret into n shares over GF(2^8) (Shamir 1979). Any t of them give the secret; fewer say nothing
 * about it.
 * The x coordinates are random, distinct and never 0. They are public, and the only thing that memory addresses show.
 * @throws RangeError unless the secret has 32 bytes and 2 ≤ t ≤ n ≤ 255.
 */
export function splitSecret(
  secret: Uint8Array,
  t: number,
  n: number,
  random: RandomSource = systemRandom,
): readonly Uint8Array[] {
  if (secret.length !== SECRET_BYTES) {
    throw new RangeError(`the secret must be ${SECRET_BYTES} bytes, got ${secret.length}`);
  }
  if (!Number.isInteger(t) || !Number.isInteger(n) || t < 2 || t > n || n > MOST_SHARES) {
    throw new RangeError(`shares need 2 ≤ t ≤ n ≤ ${MOST_SHARES}, got t = ${t}, n = ${n}`);
  }
  const coefficients = [packed(secret), ...randomCoefficients(t - 1, random)];
  try {
    return randomCoordinates(n, random).map((x) => shareAt(coefficients, x));
  } finally {
    for (const planes of coefficients) planes.fill(0);
  }
}

/**
 * Combines exactly t shares. A wrong share gives a wrong secret and no error: the caller must check the result.
 *
 * A share with x = 0 is the secret itself: a peer that sends such a share chooses the secret, so it is refused.
 * @throws RangeError for fewer than `minimumThreshold` shares, another length, x = 0 or the same x twice.
 */
export function combineShares(shares: readonly Uint8Array[], minimumThreshold: number): Uint8Array {
  if (minimumThreshold < 2 || shares.length < minimumThreshold) {
    throw new RangeError(
      `${shares.length} shares are fewer than the minimum of ${minimumThreshold} (at least 2)`,
    );
  }
  // A typed array keeps one layout in memory, which arrays of numbers change with the engine's optimizations.
  const coordinates = Uint8Array.from(shares, shareCoordinate);
  if (coordinates.includes(0)) throw new RangeError('a share has x = 0');
  if (new Set(coordinates).size !== shares.length) throw new RangeError('two shares have the same x');
  const sum = zeroPlanes();
  const values = zeroPlanes();
  for (const [at, share] of shares.entries()) {
    packPlanes(share, values);
    addProduct(sum, values, weightAtZero(coordinates, at));
  }
  const secret = new Uint8Array(SECRET_BYTES);
  unpackPlanes(sum, secret);
  sum.fill(0);
  values.fill(0);
  return secret;
}

function packed(bytes: Uint8Array): Planes {
  const planes = zeroPlanes();
  packPlanes(bytes, planes);
  return planes;
}

function randomCoefficients(count: number, random: RandomSource): Planes[] {
  return Array.from({ length: count }, () => {
    const bytes = random(SECRET_BYTES);
    const planes = packed(bytes);
    bytes.fill(0);
    return planes;
  });
}

/** `n` distinct numbers from 1 to 255: the beginning of a shuffled list (Fisher and Yates). */
function randomCoordinates(n: number, random: RandomSource): readonly number[] {
  const coordinates = Uint8Array.from({ length: MOST_SHARES }, (_, at) => at + 1);
  const dice = random(2 * MOST_SHARES);
  for (let at = 0; at < n; at++) {
    // Two bytes, so that the choice is almost even. Nothing but the choice of public numbers depends on it.
    const number = ((dice[2 * at] ?? 0) << 8) | (dice[2 * at + 1] ?? 0);
    const other = at + (number % (MOST_SHARES - at));
    const chosen = coordinates[other] ?? 0;
    coordinates[other] = coordinates[at] ?? 0;
    coordinates[at] = chosen;
  }
  return [...coordinates.subarray(0, n)];
}

/** The share at x: all polynomials, constant term first, by Horner's rule. */
function shareAt(coefficients: readonly Planes[], x: number): Uint8Array {
  let sum = zeroPlanes();
  let product = zeroPlanes();
  for (const coefficient of coefficients.toReversed()) {
    product.fill(0);
    addProduct(product, sum, x);
    addPlanes(product, coefficient);
    [sum, product] = [product, sum];
  }
  const share = new Uint8Array(SHARE_BYTES);
  unpackPlanes(sum, share);
  share[SHARE_BYTES - 1] = x;
  sum.fill(0);
  product.fill(0);
  return share;
}

/** Lagrange's basis polynomial of one share at 0: the product of x_j / (x_j − x_i) over the other shares j. */
function weightAtZero(coordinates: Uint8Array, own: number): number {
  const xi = coordinates[own] ?? 0;
  let numerator = 1;
  let denominator = 1;
  for (const [at, xj] of coordinates.entries()) {
    if (at === own) continue;
    numerator = multiplyPublic(numerator, xj);
    denominator = multiplyPublic(denominator, xj ^ xi);
  }
  return multiplyPublic(numerator, invertPublic(denominator));
}
