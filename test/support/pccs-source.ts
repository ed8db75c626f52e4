import { afterEach } from 'vitest';
import { DEVELOPMENT_FMSPC } from '../../mock-tdx/development-pki.ts';
import { PccsCollateralSource, type PccsCollateralSourceOptions } from '../../src/collateral/pccs-source.ts';
import type { CollateralWorld } from './collateral-world.ts';

export const platform = { fmspc: DEVELOPMENT_FMSPC, ca: 'platform' } as const;
export const A = 'https://a.test';
export const B = 'https://b.test';
export const unavailable = { code: 'COLLATERAL_UNAVAILABLE', family: 'problem' };

const open: PccsCollateralSource[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((source) => source.close()));
});

/** A source over the services of a world; closed after the test. */
export function sourceIn(
  world: CollateralWorld,
  options: Partial<PccsCollateralSourceOptions> = {},
): PccsCollateralSource {
  const { verifier, clock, fetch } = world;
  const source = new PccsCollateralSource({
    endpoints: [A],
    verifier,
    clock,
    fetch,
    timeoutMs: 1_000,
    jitter: () => 0.5,
    ...options,
  });
  open.push(source);
  return source;
}

export const down = () => Promise.reject(new Error('ECONNRESET'));
