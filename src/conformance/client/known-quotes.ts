import { getCollateral } from '../../collateral/get-collateral.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import type { Fetch } from '../../outbound/bounded-fetch.ts';
import {
  type CollateralDocuments,
  insecureTrustRoot,
  QuoteVerifier,
  verifyQuote,
} from '../../tdx/verify-quote.ts';
import { askText, quoteMaker } from '../known-server.ts';
import type { ForeignClientOptions } from './foreign-client.ts';

/**
 * The quotes of a mock-tdx: made there, and judged by Intel's rules under its root.
 * @throws ProblemError INPUT_UNREADABLE when it does not answer.
 */
export async function knownQuotes(
  url: string,
  fetchLike: Fetch = (address, init) => fetch(address, init),
): Promise<Pick<ForeignClientOptions, 'quotes' | 'rootPem' | 'quote' | 'isGenuine'>> {
  const quotes = url.replace(/\/+$/, '');
  const rootPem = await askText(fetchLike, `${quotes}/root.pem`);
  const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(rootPem) });
  // All platforms of a mock-tdx are of one family, so one set serves all quotes.
  let fetched: Promise<CollateralDocuments> | undefined;
  const isGenuine = async (quote: Uint8Array) => {
    try {
      fetched ??= getCollateral(quote, { endpoints: [quotes], verifier, fetch: fetchLike });
      const collateral = await fetched;
      verifyQuote(quote, { collateral, nowMs: Date.now(), verifier });
      return true;
    } catch (error) {
      if (error instanceof LatchkeyError && error.family !== 'problem') return false;
      // The next quote tries again.
      fetched = undefined;
      throw error;
    }
  };
  return { quotes, rootPem, quote: quoteMaker(quotes, fetchLike), isGenuine };
}
