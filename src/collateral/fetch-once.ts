import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import type { Fetch } from '../outbound/bounded-fetch.ts';
import type { CollateralDocuments } from '../tdx/collateral.ts';
import type { QuoteVerifier } from '../tdx/verify-quote.ts';
import type { PlatformKind } from './platform-kind.ts';
import { ServiceClient, ServiceFailure, type TcbUpdate } from './service-client.ts';

/** How one set is fetched. */
export interface FetchOnceOptions {
  /** Base addresses of PCS or PCCS services, asked in this order. */
  readonly endpoints: readonly string[];
  readonly verifier: Pick<QuoteVerifier, 'checkCollateral'>;
  /** The time at which a set must be valid, in milliseconds since 1970. */
  readonly nowMs: number;
  /** Default standard. */
  readonly update?: TcbUpdate;
  /** For each document, default 10,000. */
  readonly timeoutMs?: number;
  readonly fetch?: Fetch;
}

/**
 * Fetches one set for a command that runs once: the first that holds. Where services offer only sets that do not, the
 * first of those comes back, so that the verifier refuses it and says why; **it must still be verified**.
 * @throws ProblemError COLLATERAL_UNAVAILABLE with the reason of each service when none offers a set; TypeError when
 *   an endpoint is not an http(s) address.
 */
export async function fetchCollateralOnce(
  platform: PlatformKind,
  options: FetchOnceOptions,
): Promise<CollateralDocuments> {
  const { endpoints, verifier, nowMs, update = 'standard', timeoutMs = 10_000 } = options;
  const clientOptions = { fetch: options.fetch ?? fetch, timeoutMs, update };
  const clients = endpoints.map((url) => new ServiceClient(url, clientOptions));
  const { fmspc, ca } = platform;
  const reasons: string[] = [];
  let refused: CollateralDocuments | undefined;
  for (const client of clients) {
    let offered: CollateralDocuments | undefined;
    try {
      offered = await client.fetchSet(platform);
      verifier.checkCollateral(offered, { nowMs, fmspc, ca });
      return offered;
    } catch (error) {
      reasons.push(`${client.url}: ${reasonOf(error)}`);
      refused ??= offered;
    }
  }
  if (refused !== undefined) return refused;
  throw new ProblemError('COLLATERAL_UNAVAILABLE', `no usable collateral: ${reasons.join('; ')}`);
}

/** The fault of a service as a reason; any other error is a bug. */
function reasonOf(error: unknown): string {
  if (error instanceof ServiceFailure) return error.message;
  if (error instanceof LatchkeyError) return `${error.code}: ${error.message}`;
  throw error;
}
