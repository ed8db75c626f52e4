import type { CollateralJson } from '../collateral/collateral-parts.ts';

/** Everything that a verifier is given. */
export interface Evidence {
  readonly quote: Uint8Array;
  readonly collateral: CollateralJson;
  readonly nowMs: number;
  /** PEM of the root to trust. */
  readonly root: string;
}
