import { toHex } from '../../../src/bytes/hex.ts';
import { GroupElement } from '../../../src/crypto/ristretto255.ts';
import { secretFrom } from '../../support/dkg-members.ts';
import { Cluster, type CrashPlan, type RunResult } from './cluster.ts';

/** Virtual milliseconds of crashes, and then without, so that the last round can end. */
export const STORM_MS = 6_000;
export const CALM_MS = 3_000;

/** The crash plans of row E14. */
export const plans: Readonly<Record<string, CrashPlan>> = {
  '1 of 4 every 4 s': { everyMs: 4000, victims: 1, downMs: 1000 },
  '3 of 4 every 2 s': { everyMs: 2000, victims: 3, downMs: 500 },
  'total shutdown every 3 s': { everyMs: 3000, victims: 4, downMs: 700 },
  'power cuts in the middle of writes': { everyMs: 60_000, victims: 1, downMs: 300, cutRate: 0.02 },
  'storage faults': { everyMs: 4000, victims: 1, downMs: 500, faultRate: 0.01 },
  'storage faults, lossy links and many crashes': {
    ...{ everyMs: 1500, victims: 2, downMs: 300, faultRate: 0.01 },
    links: { lossRate: 0.2, jitterMs: 8 },
  },
};

/** Runs one plan under one seed. */
export const runPlan = (seed: number, plan: CrashPlan): Promise<RunResult> =>
  new Cluster(seed, plan).run(STORM_MS, CALM_MS);

/**
 * What was broken of the promises that hold whatever crashed: what the auditor saw, and that the shares are those of
 * the group's key. Empty when nothing was.
 */
export function brokenPromises(result: RunResult): readonly string[] {
  const broken = [...result.violations];
  if (result.rounds < 3) broken.push(`only ${result.rounds} rounds ended`);
  if (result.shares.length < 3) broken.push(`only ${result.shares.length} nodes have a share`);
  else if (!isOfKey(result)) broken.push("the shares are not those of the group's key");
  return broken;
}

function isOfKey({ shares, groupKey }: RunResult): boolean {
  const found = GroupElement.ofScalar(secretFrom(shares.slice(0, 3))).toBytes();
  return toHex(found) === groupKey;
}
