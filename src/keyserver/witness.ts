import { copyBytes } from '../bytes/copy-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import type { CollateralSource, PlatformKind } from '../collateral/collateral-source.ts';
import type { Quote } from '../tdx/quote.ts';
import type { VerifiedQuote } from '../tdx/verify-quote.ts';
import { platformOf, type QuoteVerifier } from '../tdx/verify-quote.ts';
import type { BoundRequest } from './handshake.ts';

/** Certificate chains that are remembered; about 200 bytes each. */
const MAX_CHAINS = 10_000;

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
  /** What certificate chains say of their platforms, by SHA-256 of the chain; nothing is trusted because of it. */
  readonly #kinds = new Map<string, PlatformKind>();

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
    const platform = this.#kindOf(quote);
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

  /** Reading a certificate chain costs more than hashing it, and a platform sends the same one every time. */
  #kindOf(quote: Quote): PlatformKind {
    const name = quote.certificateChainDigest;
    const known = this.#kinds.get(name);
    if (known !== undefined) return known;
    // Copies: what was read is a view, and nobody has verified how large the certificate is that it would keep alive.
    const { fmspc, ca } = platformOf(quote);
    const kind: PlatformKind = { fmspc: copyBytes(fmspc), ca };
    if (this.#kinds.size >= MAX_CHAINS) this.#kinds.clear();
    this.#kinds.set(name, kind);
    return kind;
  }
}
