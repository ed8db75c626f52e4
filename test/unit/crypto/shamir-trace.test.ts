import { describe, expect, it } from 'vitest';
import { equalBytes } from '../../../src/bytes/concat.ts';
import { multiplyPublic } from '../../../src/crypto/gf256-planes.ts';
import type { RandomSource } from '../../../src/crypto/random.ts';
import { shareCoordinate } from '../../../src/crypto/shamir.ts';
import type { Observer } from '../../support/instrumented.ts';
import { seededBytes } from '../../support/seeded-bytes.ts';
import { librarySharing, ownSharing, type Sharing } from '../../support/shamir-programs.ts';
import { WholeTrace } from '../../support/whole-trace.ts';

const SECRET_BYTES = 32;
const positions = Array.from({ length: SECRET_BYTES }, (_, at) => at);

/** The cache lines of 64 bytes that are touched in the library's tables, which begin at a line. */
class TableLines implements Observer {
  #lines: string[] = [];

  access(_site: number, name: string, index: unknown): void {
    if (name === 'LOG_TABLE' || name === 'EXP_TABLE') this.#lines.push(`${name}:${Number(index) >> 6}`);
  }

  branch(): void {}

  operation(): void {}

  take(): readonly string[] {
    const taken = this.#lines;
    this.#lines = [];
    return taken;
  }
}

/** Random bytes with the same coordinates in every run, which are public, and with the given coefficients. */
function randomWith(coefficients: Uint8Array): RandomSource {
  let next = 0;
  return (length) => {
    if (length > SECRET_BYTES) return seededBytes(77, length);
    next += length;
    return Uint8Array.from(coefficients.subarray(next - length, next));
  };
}

async function shareAndCombine(
  sharing: Sharing,
  secret: Uint8Array,
  coefficients: Uint8Array,
): Promise<void> {
  const shares = await sharing.split(secret, 2, 2, randomWith(coefficients));
  if (!equalBytes(await sharing.combine(shares), secret))
    throw new Error('the program does not share secrets');
}

describe('the trace of memory addresses, branches and allocations that a host can see', () => {
  /** Different traces of one split and one combine: zeros, ones, then seeded secrets. */
  async function tracesOf(sharing: Sharing, trace: WholeTrace, count: number): Promise<ReadonlySet<string>> {
    const seen = new Set<string>();
    for (let run = 0; run < count; run++) {
      const secret = run < 2 ? new Uint8Array(SECRET_BYTES).fill(-run) : seededBytes(run, SECRET_BYTES);
      await shareAndCombine(sharing, secret, seededBytes(50_000 + run, SECRET_BYTES));
      seen.add(trace.take());
    }
    return seen;
  }

  it('is one sequence of operations for 10,000 secrets, all on small integers', {
    timeout: 300_000,
  }, async () => {
    const trace = new WholeTrace();
    const seen = await tracesOf(ownSharing(trace), trace, 10_000);
    expect(seen.size).toBe(1);
    expect(trace.largeNumbers).toBe(0);
    // The instruments are at work: there are that many bit operations at least.
    expect(Number.parseInt([...seen].join(), 10)).toBeGreaterThan(10_000);
  });

  it('differs for each secret in the library shamir-secret-sharing', async () => {
    const trace = new WholeTrace();
    expect((await tracesOf(librarySharing(trace), trace, 50)).size).toBe(50);
  });

  it('excludes no store key: each value of each byte gives the same trace', {
    timeout: 300_000,
  }, async () => {
    const trace = new WholeTrace();
    const sharing = ownSharing(trace);
    await shareAndCombine(sharing, seededBytes(1, SECRET_BYTES), seededBytes(2, SECRET_BYTES));
    const observed = trace.take();
    const fitting = positions.map(() => new Set<number>());
    for (let run = 0; run < 256; run++) {
      const guess = Uint8Array.from(positions, (at) => run + at);
      await shareAndCombine(sharing, guess, seededBytes(1000 + run, SECRET_BYTES));
      if (trace.take() === observed) for (const at of positions) fitting[at]?.add((run + at) & 0xff);
    }
    const keys = fitting.reduce((sum, values) => sum + Math.log2(values.size), 0);
    expect(keys).toBe(8 * SECRET_BYTES);
  });
});

const T = 3;
const N = 5;

/** Attack on the library with t = 3 and n = 5. The attacker knows the coordinates and the code, and no share. */
class TableAttack {
  readonly #lines = new TableLines();
  readonly #sharing = librarySharing(this.#lines);
  readonly #coordinates: readonly number[];
  /** Pairs of the two random coefficients, as a1 ‖ a2, by the lines of a split. */
  readonly #pairs: ReadonlyMap<string, readonly number[]>;
  /** For each share: the lines of a combine by the value of that share. */
  readonly #lookups: readonly (readonly string[])[];

  private constructor(
    coordinates: readonly number[],
    pairs: ReadonlyMap<string, readonly number[]>,
    lookups: readonly (readonly string[])[],
  ) {
    this.#coordinates = coordinates;
    this.#pairs = pairs;
    this.#lookups = lookups;
  }

  /** Runs the code on all inputs, before anything is observed. */
  static async prepare(): Promise<TableAttack> {
    const lines = new TableLines();
    const sharing = librarySharing(lines);
    const pairs = new Map<string, number[]>();
    let shares: readonly Uint8Array[] = [];
    for (let first = 0; first < 0x10000; first += SECRET_BYTES) {
      const coefficients = Uint8Array.from({ length: 2 * SECRET_BYTES }, (_, at) => {
        const pair = first + (at >> 1);
        return at % 2 === 0 ? pair >> 8 : pair & 0xff;
      });
      shares = await sharing.split(new Uint8Array(SECRET_BYTES), T, N, randomWith(coefficients));
      for (const [at, trace] of slices(lines.take(), SECRET_BYTES).entries())
        pairs.set(trace, [...(pairs.get(trace) ?? []), first + at]);
    }
    const coordinates = shares.map(shareCoordinate);
    const lookups = coordinates.slice(0, T).map((): string[] => []);
    for (let value = 0; value < 256; value++) {
      const chosen = coordinates.slice(0, T).map((x) => Uint8Array.of(value, x));
      await sharing.combine(chosen);
      for (const [share, trace] of slices(lines.take(), T).entries()) lookups[share]?.push(trace);
    }
    return new TableAttack(coordinates, pairs, lookups);
  }

  /** Keys that fit what one split and one combine of a victim touch, as the logarithm to base 2. */
  async keysLeft(secret: Uint8Array, coefficients: Uint8Array): Promise<number> {
    const shares = await this.#sharing.split(secret, T, N, randomWith(coefficients));
    const inSplit = slices(this.#lines.take(), SECRET_BYTES);
    await this.#sharing.combine(shares.slice(0, T));
    const inCombine = slices(this.#lines.take(), SECRET_BYTES);
    return positions.reduce((sum, at) => {
      const values = this.#fitting(inSplit[at] ?? '', slices((inCombine[at] ?? '').split(' '), T));
      // The attack is sound: the true value always fits.
      expect(values.has(secret[at] ?? 0)).toBe(true);
      return sum + Math.log2(values.size);
    }, 0);
  }

  #fitting(inSplit: string, inCombine: readonly string[]): ReadonlySet<number> {
    const values = new Set<number>();
    for (const pair of this.#pairs.get(inSplit) ?? []) {
      for (let value = 0; value < 256; value++) {
        const fits = inCombine.every((trace, share) => {
          const x = this.#coordinates[share] ?? 0;
          const high = multiplyPublic(multiplyPublic(pair & 0xff, x) ^ (pair >> 8), x);
          return this.#lookups[share]?.[high ^ value] === trace;
        });
        if (fits) values.add(value);
      }
    }
    return values;
  }
}

/** Cuts a trace into parts of equal length. */
function slices(lines: readonly string[], count: number): readonly string[] {
  const each = lines.length / count;
  return Array.from({ length: count }, (_, at) => lines.slice(at * each, (at + 1) * each).join(' '));
}

describe('the attack on the tables of the library, from the cache lines of one split and one combine', () => {
  it('leaves fewer than 2^48 of 2^256 keys', { timeout: 300_000 }, async () => {
    const attack = await TableAttack.prepare();
    for (let run = 1; run <= 4; run++) {
      const left = await attack.keysLeft(
        seededBytes(run, SECRET_BYTES),
        seededBytes(100 + run, 2 * SECRET_BYTES),
      );
      expect(left).toBeLessThan(48);
    }
  });
});
