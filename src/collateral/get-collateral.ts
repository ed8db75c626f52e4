import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import type { Fetch } from '../outbound/bounded-fetch.ts';
import type { PlatformSignal } from '../outbound/platform-types.ts';
import type { CollateralDocuments } from '../tdx/collateral.ts';
import { parseQuote, Quote } from '../tdx/quote.ts';
import { platformOf, QuoteVerifier } from '../tdx/quote-verifier.ts';
import { INTEL_PCS_URL, ServiceClient, ServiceFailure, type TcbUpdate } from './service-client.ts';

/** Options of {@link getCollateral}. */
export interface GetCollateralOptions {
  /** Base addresses of PCS or PCCS services, tried in this order; default: Intel's. */
  readonly endpoints?: readonly string[];
  /** Default standard. */
  readonly update?: TcbUpdate;
  /** For each document, default 10,000. */
  readonly timeoutMs?: number;
  /** Milliseconds since 1970, default the clock's: a set that does not hold then is not taken. */
  readonly nowMs?: number;
  /** Default: a verifier under Intel's root. */
  readonly verifier?: Pick<QuoteVerifier, 'checkCollateral'>;
  readonly fetch?: Fetch;
  readonly signal?: PlatformSignal;
}

/**
 * Fetches the collateral for a quote's platform from the first service that has a set that verifies. Browsers cannot
 * read the headers of Intel's own service (it allows no other origin): give a PCCS that does.
 * @throws ProblemError COLLATERAL_UNAVAILABLE with what each service said; EvidenceError when the quote cannot be read;
 *   TypeError for an endpoint that is not an http(s) address.
 */
export async function getCollateral(
  quote: Quote | Uint8Array,
  options: GetCollateralOptions = {},
): Promise<CollateralDocuments> {
  const { endpoints = [INTEL_PCS_URL], update = 'standard', timeoutMs = 10_000, signal } = options;
  const platform = platformOf(quote instanceof Quote ? quote : parseQuote(quote));
  const verifier = options.verifier ?? new QuoteVerifier();
  const fetchLike: Fetch = options.fetch ?? ((url, init) => fetch(url, init));
  const common = { fetch: fetchLike, timeoutMs, update, ...(signal === undefined ? {} : { signal }) };
  const clients = endpoints.map((url) => new ServiceClient(url, common));
  const reasons: string[] = [];
  for (const client of clients) {
    try {
      const documents = await client.fetchSet(platform);
      const { fmspc, pceId, ca } = platform;
      verifier.checkCollateral(documents, { nowMs: options.nowMs ?? Date.now(), fmspc, pceId, ca });
      return documents;
    } catch (error) {
      if (!(error instanceof ServiceFailure) && !(error instanceof LatchkeyError)) throw error;
      reasons.push(`${client.url}: ${error.message}`);
    }
  }
  const message = `no service has usable collateral: ${reasons.join('; ')}`;
  throw new ProblemError('COLLATERAL_UNAVAILABLE', message, { field: 'endpoints' });
}
