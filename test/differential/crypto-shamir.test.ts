import fc from 'fast-check';
import { combine, split } from 'shamir-secret-sharing';
import { describe, expect, it } from 'vitest';
import { combineShares, SHARE_BYTES, shareCoordinate, splitSecret } from '../../src/crypto/shamir.ts';

// GF(2^8) with AES's polynomial, bit by bit; independent of the planes of our code and the tables of the library.
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit++) {
    if ((b >> bit) & 1) product ^= a << bit;
  }
  for (let bit = 15; bit >= 8; bit--) {
    if ((product >> bit) & 1) product ^= 0x11b << (bit - 8);
  }
  return product;
}

/** a^254, which is a's inverse. */
const inverse = (a: number): number => Array<number>(253).fill(a).reduce(multiply, a);

/** Lagrange interpolation at 0 of shares `value bytes ‖ x`. */
function interpolate(shares: readonly Uint8Array[]): Uint8Array {
  const coordinates = shares.map((share) => share.at(-1) ?? 0);
  const secret = new Uint8Array((shares[0]?.length ?? 1) - 1);
  shares.forEach((share, i) => {
    const xi = coordinates[i] ?? 0;
    const weight = coordinates
      .filter((_, j) => j !== i)
      .reduce((product, xj) => multiply(product, multiply(xj, inverse(xj ^ xi))), 1);
    secret.forEach((_, at) => {
      secret[at] = (secret[at] ?? 0) ^ multiply(share[at] ?? 0, weight);
    });
  });
  return secret;
}

/** Evaluates polynomials (one per byte, constant term first) at x. */
function shareAt(polynomials: readonly Uint8Array[], x: number): Uint8Array {
  const values = polynomials.map((coefficients) =>
    coefficients.reduceRight((sum, coefficient) => multiply(sum, x) ^ coefficient, 0),
  );
  return Uint8Array.of(...values, x);
}

const secret32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const quorum = fc
  .record({ t: fc.integer({ min: 2, max: 16 }), more: fc.integer({ min: 0, max: 14 }) })
  .map(({ t, more }) => ({ t, n: Math.min(16, t + more) }));

describe('Shamir sharing against plain Lagrange interpolation', () => {
  it('the field follows FIPS 197 section 4.2: 57 × 83 = c1 and 57 × 13 = fe', () => {
    expect(multiply(0x57, 0x83)).toBe(0xc1);
    expect(multiply(0x57, 0x13)).toBe(0xfe);
    expect(multiply(0x53, inverse(0x53))).toBe(1);
  });

  it('interpolation of any t of our shares gives the secret back', async () => {
    await fc.assert(
      fc.asyncProperty(secret32, quorum, fc.infiniteStream(fc.nat()), async (secret, { t, n }, picks) => {
        const shares = [...splitSecret(secret, t, n)];
        expect(shares).toHaveLength(n);
        expect(new Set(shares.map(shareCoordinate)).size).toBe(n);
        expect(shares.every((share) => share.length === SHARE_BYTES && shareCoordinate(share) !== 0)).toBe(
          true,
        );
        const chosen = Array.from({ length: t }, () => {
          const [share] = shares.splice(Number(picks.next().value) % shares.length, 1);
          return share ?? new Uint8Array(0);
        });
        expect(interpolate(chosen)).toEqual(secret);
        expect(combineShares(chosen, t)).toEqual(secret);
      }),
      { numRuns: 60 },
    );
  });

  it('we combine shares that were made with plain polynomials', async () => {
    const coefficients = (t: number) =>
      fc.array(fc.uint8Array({ minLength: t, maxLength: t }), { minLength: 32, maxLength: 32 });
    const cases = fc.integer({ min: 2, max: 8 }).chain((t) =>
      fc.record({
        polynomials: coefficients(t),
        coordinates: fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: t, maxLength: t }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ({ polynomials, coordinates }) => {
        const shares = coordinates.map((x) => shareAt(polynomials, x));
        const secret = Uint8Array.from(polynomials, (polynomial) => polynomial[0] ?? 0);
        expect(combineShares(shares, coordinates.length)).toEqual(secret);
      }),
      { numRuns: 60 },
    );
  });

  it('t − 1 shares fit every secret equally: they reveal no byte of it', () => {
    const secret = new Uint8Array(32).fill(7);
    const shares = splitSecret(secret, 3, 3);
    const known = shares.slice(0, 2);
    const x = shareCoordinate(shares[2] ?? new Uint8Array(0));
    // For each value of the third share's first byte the secret's first byte differs: a bijection.
    const guesses = Array.from({ length: 256 }, (_, value) => {
      const third = Uint8Array.of(value, ...new Uint8Array(31), x);
      return interpolate([...known, third])[0];
    });
    expect(new Set(guesses).size).toBe(256);
  });
});

describe('Shamir sharing and the library shamir-secret-sharing', () => {
  const cases = fc.record({ secret: secret32, quorum });

  it('the library combines our shares', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ secret, quorum: { t, n } }) => {
        expect(await combine(splitSecret(secret, t, n).slice(n - t))).toEqual(secret);
      }),
      { numRuns: 60 },
    );
  });

  it('we combine the shares of the library', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ secret, quorum: { t, n } }) => {
        expect(combineShares((await split(secret, n, t)).slice(n - t), t)).toEqual(secret);
      }),
      { numRuns: 60 },
    );
  });

  it('255 shares with a threshold of 255', async () => {
    const secret = Uint8Array.from({ length: 32 }, (_, at) => 255 - at);
    const shares = splitSecret(secret, 255, 255);
    expect(new Set(shares.map(shareCoordinate)).size).toBe(255);
    expect(combineShares(shares, 255)).toEqual(secret);
    expect(await combine([...shares])).toEqual(secret);
  });
});

describe('input that is refused', () => {
  const share = (x: number, fill: number): Uint8Array => Uint8Array.of(...new Uint8Array(32).fill(fill), x);

  it('x = 0, which the library would take for the secret itself', async () => {
    const chosen = share(0, 0x42);
    expect(await combine([chosen, share(1, 1)])).toEqual(new Uint8Array(32).fill(0x42));
    expect(() => combineShares([chosen, share(1, 1)], 2)).toThrow(RangeError);
  });

  it('the same x twice', () => {
    expect(() => combineShares([share(5, 1), share(5, 2)], 2)).toThrow(RangeError);
    expect(() => combineShares([share(5, 1), share(5, 1), share(6, 1)], 2)).toThrow(RangeError);
  });

  it('fewer shares than the minimum, or a minimum below 2', () => {
    expect(() => combineShares([share(1, 1), share(2, 1)], 3)).toThrow(RangeError);
    expect(() => combineShares([share(1, 1)], 1)).toThrow(RangeError);
    expect(() => combineShares([], 2)).toThrow(RangeError);
  });

  it('shares of another length', () => {
    expect(() => combineShares([share(1, 1).subarray(1), share(2, 1)], 2)).toThrow(RangeError);
    expect(() => combineShares([new Uint8Array(34).fill(1), share(2, 1)], 2)).toThrow(RangeError);
  });

  it.each([
    [1, 2],
    [3, 2],
    [0, 0],
    [2, 256],
    [2.5, 3],
  ])('splitting %d of %d', (t, n) => {
    expect(() => splitSecret(new Uint8Array(32), t, n)).toThrow(RangeError);
  });

  it('a secret of another length', () => {
    expect(() => splitSecret(new Uint8Array(31), 2, 3)).toThrow(RangeError);
  });

  it('Buffers are accepted, unlike in the library, and are not changed', () => {
    const secret = Buffer.alloc(32, 9);
    const shares = splitSecret(secret, 2, 3).map((one) => Buffer.from(one));
    const before = shares.map((one) => one.toString('hex'));
    expect(Buffer.from(combineShares(shares.slice(1), 2)).equals(secret)).toBe(true);
    expect(shares.map((one) => one.toString('hex'))).toEqual(before);
  });
});
