import type { CollateralDocuments } from '../tdx/collateral.ts';
import type { PlatformKind } from './platform-kind.ts';

/** A set that may be used now. */
export interface UsableCollateral {
  readonly documents: CollateralDocuments;
  /** `grace`: past its `nextUpdate`, within the grace that was configured; pass the same grace to the verifier. */
  readonly state: 'fresh' | 'grace';
  /** The last moment at which the set is fresh, in milliseconds since 1970. */
  readonly validUntilMs: number;
}

/** State of the collateral of one kind of platform. */
export interface CollateralStatus {
  /** 12 hex digits, upper-case as Intel writes them. */
  readonly fmspc: string;
  readonly ca: 'platform' | 'processor';
  /** `refused`: there is nothing that may be used, and quotes of these platforms are refused. */
  readonly state: 'fresh' | 'grace' | 'refused';
  readonly validUntilMs: number | undefined;
  readonly tcbEvaluationDataNumber: number | undefined;
  /** Where the set in use came from: an endpoint, a file, or the cache on disk. */
  readonly origin: string | undefined;
  /** When the next attempt to renew it is due. */
  readonly refreshAtMs: number | undefined;
  /** Why the last attempt failed; `undefined` after a good one. */
  readonly lastFailure: string | undefined;
}

/**
 * Gives verified collateral. It never gives a set that may not be used: an outage ends in `COLLATERAL_UNAVAILABLE`,
 * never in acceptance, and does not hold up a request that a cached set can serve.
 */
export interface CollateralSource extends AsyncDisposable {
  /** For how long sets are given after their `nextUpdate`; pass it to the verifier as `collateralGraceMs`. */
  readonly graceMs: number;
  /**
   * The collateral for a kind of platform. Ask only for platforms with a verified PCK chain, since a new FMSPC
   * costs requests to the service.
   * @throws ProblemError COLLATERAL_UNAVAILABLE saying why each endpoint failed.
   */
  collateralFor(platform: PlatformKind): Promise<UsableCollateral>;
  /** One entry for each kind of platform that was asked for. */
  status(): readonly CollateralStatus[];
  /** Stops all work in the background. */
  close(): Promise<void>;
}
