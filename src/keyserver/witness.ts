import { toHex } from '../bytes/hex.ts';
import type { CollateralSource } from '../collateral/collateral-source.ts';
import type { Quote } from '../tdx/quote.ts';
import type { VerifiedQuote } from '../tdx/verify-quote.ts';
import { platformOf, type QuoteVerifier } from '../tdx/verify-quote.ts';
import type { BoundRequest } from './handshake.ts';

declare const witnessed: unique symbol;

/** A bound request whose quote is genuine. Made only by {@link Witness}. */
export interface WitnessedRequest {
  readonly bound: BoundRequest;
  readonly verified: VerifiedQuote;
  readonly [witnessed]: true;
}

/** The witness: Intel's whole verification of a quote, with collateral for its platform. Policy is the judge's. */
export class Witness {
  readonly #verifier: QuoteVerifier;
  readonly #collateral: CollateralSource;
  readonly #now: () => number;
  /** Platform families (FMSPC and CA) that a genuine quote came from. */
  readonly #families = new Set<string>();

  constructor(parts: {
    readonly verifier: QuoteVerifier;
    readonly collateral: CollateralSource;
    readonly now: () => number;
  }) {
    this.#verifier = parts.verifier;
    this.#collateral = parts.collateral;
    this.#now = parts.now;
  }

  /**
   * Verifies the quote of a bound request.
   * @throws EvidenceError of the verifier; ProblemError COLLATERAL_UNAVAILABLE.
   */
  async examine(bound: BoundRequest): Promise<WitnessedRequest> {
    const verified = await this.verify(bound.quote);
    // The brand says that the line above did not throw.
    return { bound, verified } as WitnessedRequest;
  }

  /** Verifies any quote, such as a server's attestation. */
  async verify(quote: Quote): Promise<VerifiedQuote> {
    const platform = platformOf(quote);
    const family = `${toHex(platform.fmspc)}/${platform.ca}`;
    // For an unknown family the signatures come first: nobody makes this server ask Intel about made-up platforms.
    if (!this.#families.has(family)) this.#verifier.verifyChainOnly(quote, { nowMs: this.#now() });
    this.#families.add(family);
    const { documents, state } = await this.#collateral.collateralFor(platform);
    return this.#verifier.verify(quote, {
      collateral: documents,
      nowMs: this.#now(),
      ...(state === 'grace' ? { collateralGraceMs: this.#collateral.graceMs } : {}),
    });
  }
}
