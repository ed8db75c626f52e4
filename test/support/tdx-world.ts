import { assembleCollateral, type CollateralParts } from '../../mock-tdx/collateral/collateral-parts.ts';
import type { QeIdentity } from '../../mock-tdx/collateral/qe-identity.ts';
import type { TcbInfo } from '../../mock-tdx/collateral/tcb-info.ts';
import { createDevelopmentPki, type QuoteRequest } from '../../mock-tdx/development-pki.ts';
import { assembleQuote, type QuoteParts } from '../../mock-tdx/quote/quote-parts.ts';
import { type CollateralDocuments, parseCollateralDocuments } from '../../src/tdx/collateral.ts';
import { insecureTrustRoot } from '../../src/tdx/trust-root.ts';
import { QuoteVerifier, type VerifiedQuote, type VerifyOptions } from '../../src/tdx/verify-quote.ts';
import { codeOf } from './thrown.ts';

export const worldSeed: Uint8Array = new Uint8Array(32).fill(42);
export const pki = createDevelopmentPki({ seed: worldSeed });
export const trustRoot = insecureTrustRoot(pki.rootPem);
export const worldNowMs = Date.UTC(2026, 10, 21, 12);

/** A signed quote with some of its parts changed before signing. */
export function quoteWith(
  change: (parts: QuoteParts) => Partial<QuoteParts>,
  request: Partial<QuoteRequest> = {},
): Uint8Array {
  const parts = pki.quoteParts({ reportData: new Uint8Array(64), ...request });
  return assembleQuote({ ...parts, ...change(parts) });
}

export const plainQuote = (request: Partial<QuoteRequest> = {}): Uint8Array =>
  pki.quote({ reportData: new Uint8Array(64), ...request });

/** A signed set with some of its parts changed before signing. */
export function collateralWith(
  change: (parts: CollateralParts) => Partial<CollateralParts>,
): CollateralDocuments {
  const parts = pki.collateralParts({ nowMs: worldNowMs });
  return parseCollateralDocuments(assembleCollateral({ ...parts, ...change(parts) }));
}

export const plainCollateral = (): CollateralDocuments => collateralWith(() => ({}));

/** A collateral set with a changed TCB info, signed again. */
export const tcbInfoWith = (change: (info: TcbInfo) => object): CollateralDocuments =>
  collateralWith(({ tcbInfo }) => {
    // Broken content is the point of these tests; the signing code takes any JSON.
    const content = { ...tcbInfo.content, ...change(tcbInfo.content) } as TcbInfo;
    return { tcbInfo: { ...tcbInfo, content } };
  });

/** A collateral set with a changed QE identity, signed again. */
export const qeIdentityWith = (change: (identity: QeIdentity) => object): CollateralDocuments =>
  collateralWith(({ qeIdentity }) => {
    const content = { ...qeIdentity.content, ...change(qeIdentity.content) } as QeIdentity;
    return { qeIdentity: { ...qeIdentity, content } };
  });

/** Verifies under the development root. */
export const verifyInWorld = (
  quote: Uint8Array = plainQuote(),
  collateral: CollateralDocuments = plainCollateral(),
  options: Partial<VerifyOptions> = {},
): VerifiedQuote =>
  new QuoteVerifier({ trustRoot }).verify(quote, { collateral, nowMs: worldNowMs, ...options });

/** The code with which a verification ends, or `none`. */
export const verdictOf = (...args: Parameters<typeof verifyInWorld>): string =>
  codeOf(() => verifyInWorld(...args));
