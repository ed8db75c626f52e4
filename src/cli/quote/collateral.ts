import { ProblemError } from '../../errors/latchkey-error.ts';
import type { CollateralDocuments } from '../../tdx/collateral.ts';
import type { Quote } from '../../tdx/quote.ts';
import type { QuoteVerifier } from '../../tdx/verify-quote.ts';
import { readCollateral, requireServiceUrls, type UpdateFlags, updateOf } from './inputs.ts';

/** Where the collateral of one command comes from. */
export interface CollateralFlags extends UpdateFlags {
  readonly collateral?: string;
  readonly pccs?: readonly string[];
}

/**
 * Reads or fetches the collateral for a quote, unverified. A service is asked only after the quote's own signatures
 * were verified: junk must not send anyone to the network.
 * @throws ProblemError INPUT_UNREADABLE, COLLATERAL_UNAVAILABLE; EvidenceError of a bad quote or set.
 */
export async function collateralFor(
  quote: Quote,
  flags: CollateralFlags,
  verifier: QuoteVerifier,
  nowMs: number,
): Promise<CollateralDocuments> {
  const { collateral, pccs } = flags;
  if (collateral !== undefined) return readCollateral(collateral);
  if (pccs === undefined) {
    throw new ProblemError(
      'INPUT_UNREADABLE',
      'a verdict needs collateral: --collateral FILE or --pccs URL',
      {
        field: '--collateral',
        hint: 'or --chain-only, which says nothing about revocation and TCB',
      },
    );
  }
  const endpoints = requireServiceUrls(pccs);
  const { platform } = verifier.verifyChainOnly(quote, { nowMs });
  const { fetchCollateralOnce } = await import('../../collateral/fetch-once.ts');
  return fetchCollateralOnce(platform, { endpoints, verifier, nowMs, update: updateOf(flags) });
}
