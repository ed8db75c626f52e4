import { combine, split } from 'shamir-secret-sharing';

/**
 * A share of a 32-byte secret: 32 bytes of the polynomials' values, then their common x coordinate in the last byte,
 * which is never 0.
 */
export const SHARE_BYTES = 33;
const SECRET_BYTES = 32;
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
 * Splits a 32-byte secret into n shares over GF(2^8) of which any t give it back and fewer tell nothing (Shamir 1979).
 * The x coordinates are random, distinct and never 0.
 * @throws RangeError unless the secret has 32 bytes and 2 ≤ t ≤ n ≤ 255.
 */
export async function splitSecret(secret: Uint8Array, t: number, n: number): Promise<readonly Uint8Array[]> {
  if (secret.length !== SECRET_BYTES) {
    throw new RangeError(`the secret must be ${SECRET_BYTES} bytes, got ${secret.length}`);
  }
  if (!Number.isInteger(t) || !Number.isInteger(n) || t < 2 || t > n || n > MOST_SHARES) {
    throw new RangeError(`shares need 2 ≤ t ≤ n ≤ ${MOST_SHARES}, got t = ${t}, n = ${n}`);
  }
  // The library takes plain Uint8Arrays only, not Buffers.
  const plain = new Uint8Array(secret);
  try {
    return await split(plain, n, t);
  } finally {
    plain.fill(0);
  }
}

/**
 * Combines exactly t shares. It cannot tell a wrong share from a right one: whoever holds the result must check it.
 *
 * The library would accept x = 0 and answer with that share alone, so that whoever slips it in chooses the secret
 * (and would answer with too few shares too); hence the checks.
 * @throws RangeError for fewer than `minimumThreshold` shares, another length, x = 0 or the same x twice.
 */
export async function combineShares(
  shares: readonly Uint8Array[],
  minimumThreshold: number,
): Promise<Uint8Array> {
  if (minimumThreshold < 2 || shares.length < minimumThreshold) {
    throw new RangeError(
      `${shares.length} shares are fewer than the minimum of ${minimumThreshold} (at least 2)`,
    );
  }
  const coordinates = new Set(shares.map(shareCoordinate));
  if (coordinates.has(0)) throw new RangeError('a share has x = 0');
  if (coordinates.size !== shares.length) throw new RangeError('two shares have the same x');
  const plain = shares.map((share) => new Uint8Array(share));
  try {
    return await combine(plain);
  } finally {
    for (const share of plain) share.fill(0);
  }
}
