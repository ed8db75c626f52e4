import { applyPolicy, defaultPolicy, type TdPolicy } from './policy.ts';
import type { Quote } from './quote.ts';
import { QuoteVerifier, requireOptions, type VerifiedQuote, type VerifyOptions } from './quote-verifier.ts';

/** Options of {@link verifyQuote}. */
export interface VerifyQuoteOptions extends VerifyOptions {
  /** Default: {@link defaultPolicy}. */
  readonly policy?: TdPolicy;
  /** Default: a shared verifier under Intel's root. */
  readonly verifier?: QuoteVerifier;
}

let sharedVerifier: QuoteVerifier | undefined;

/**
 * Verifies a quote and applies a policy to it.
 * @throws EvidenceError when the evidence is bad; RefusalError when the policy refuses good evidence; TypeError when the
 *   arguments are not what they have to be; RangeError when `nowMs` is not a time.
 */
export function verifyQuote(quote: Quote | Uint8Array, options: VerifyQuoteOptions): VerifiedQuote {
  requireOptions(options);
  sharedVerifier ??= new QuoteVerifier();
  const verified = (options.verifier ?? sharedVerifier).verify(quote, options);
  applyPolicy(verified, options.policy ?? defaultPolicy, options.nowMs);
  return verified;
}

export type { ErrorCode } from '../errors/codes.ts';
export { EvidenceError, LatchkeyError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
export { type CollateralDocuments, parseCollateralDocuments } from './collateral.ts';
export type { CollateralFacts, CollateralSummary, EvaluationNumbers } from './collateral-summary.ts';
export { applyPolicy, defaultPolicy, parsePolicy, type TdPolicy } from './policy.ts';
export { parseQuote, Quote } from './quote.ts';
export {
  type ChainOptions,
  ChainVerifiedQuote,
  type PlatformFacts,
  platformOf,
  QuoteVerifier,
  type VerifiedPlatformFacts,
  VerifiedQuote,
  type VerifierLimits,
  type VerifyOptions,
} from './quote-verifier.ts';
export type { TcbShortfall } from './tcb-shortfall.ts';
export type { TcbStatus } from './tcb-status.ts';
export { insecureTrustRoot, TrustRoot } from './trust-root.ts';
