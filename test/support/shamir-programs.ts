import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RandomSource } from '../../src/crypto/random.ts';
import { type InstrumentedProgram, loadInstrumented, type Observer } from './instrumented.ts';

/** Secret sharing under observation. */
export interface Sharing {
  split(secret: Uint8Array, t: number, n: number, random: RandomSource): Promise<readonly Uint8Array[]>;
  combine(shares: readonly Uint8Array[]): Promise<Uint8Array>;
}

const crypto = fileURLToPath(new URL('../../src/crypto/', import.meta.url));

/** Our own sharing under observation. */
export function ownSharing(observer: Observer): Sharing {
  const program: InstrumentedProgram = {
    modules: { entry: join(crypto, 'shamir.ts'), './gf256-planes.ts': join(crypto, 'gf256-planes.ts') },
    given: { './random.ts': { systemRandom: () => undefined } },
  };
  type Exports = typeof import('../../src/crypto/shamir.ts');
  const { splitSecret, combineShares } = loadInstrumented<Exports>(program, 'entry', observer);
  return {
    split: async (secret, t, n, random) => splitSecret(secret, t, n, random),
    combine: async (shares) => combineShares(shares, 2),
  };
}

/** The library shamir-secret-sharing under observation. */
export function librarySharing(observer: Observer): Sharing {
  let source: RandomSource = () => new Uint8Array(0);
  const folder = dirname(createRequire(import.meta.url).resolve('shamir-secret-sharing'));
  const program: InstrumentedProgram = {
    modules: { entry: join(folder, 'esm', 'index.js') },
    given: { 'shamir-secret-sharing/csprng': { getRandomBytes: (length: number) => source(length) } },
  };
  type Exports = typeof import('shamir-secret-sharing');
  const { split, combine } = loadInstrumented<Exports>(program, 'entry', observer);
  return {
    split(secret, t, n, random) {
      source = random;
      return split(secret, n, t);
    },
    combine: (shares) => combine([...shares]),
  };
}
