import { copyBytes } from '../bytes/copy-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import { Memo } from '../bytes/memo.ts';
import type { CollateralSource } from '../collateral/collateral-source.ts';
import type { PlatformKind } from '../collateral/platform-kind.ts';
import type { Quote } from '../tdx/quote.ts';
import type { VerifiedQuote } from '../tdx/verify-quote.ts';
import { platformOf, type QuoteVerifier } from '../tdx/verify-quote.ts';
import type { BoundRequest } from './handshake.ts';

/** Certificate chains that are remembered; about 200 bytes each. */
const MAX_CHAINS = 10_000;

const proofKey = Symbol('EvidenceVerifier');

/** Proof that the quote of a bound request is genuine. Made by {@link EvidenceVerifier} only. */
export class VerifiedRequest {
  readonly bound: BoundRequest;
  readonly #verified: VerifiedQuote;

  constructor(key: typeof proofKey, bound: BoundRequest, verified: VerifiedQuote) {
    if (key !== proofKey) throw new TypeError('a VerifiedRequest is made by EvidenceVerifier only');
    this.bound = bound;
    this.#verified = verified;
    Object.freeze(this);
  }

  get verified(): VerifiedQuote {
    return this.#verified;
  }
}

/** Runs Intel's whole verification of a quote, with the collateral of its platform. Policy is left to the judge. */
export class EvidenceVerifier {
  readonly #verifier: QuoteVerifier;
  readonly #collateral: CollateralSource;
  readonly #now: () => number;
  readonly #onJudged: ((milliseconds: number, isKnownChain: boolean) => void) | undefined;
  /** Platform families (FMSPC and CA) of genuine quotes. */
  readonly #families = new Set<string>();
  /** What certificate chains say of their platforms, by SHA-256 of the chain; nothing is trusted because of it. */
  readonly #kinds = new Memo<PlatformKind>(MAX_CHAINS);

  constructor(parts: {
    readonly verifier: QuoteVerifier;
    readonly collateral: CollateralSource;
    readonly now: () => number;
    /**
     * Is told of each verification, also of one that refuses: its processor time, without the wait for collateral, and
     * whether the certificate chain was in the cache.
     */
    readonly onJudged?: ((milliseconds: number, isKnownChain: boolean) => void) | undefined;
  }) {
    this.#verifier = parts.verifier;
    this.#collateral = parts.collateral;
    this.#now = parts.now;
    this.#onJudged = parts.onJudged;
  }

  /**
   * Verifies the quote of a bound request.
   * @throws EvidenceError of the verifier; ProblemError COLLATERAL_UNAVAILABLE.
   */
  async verifyRequest(bound: BoundRequest): Promise<VerifiedRequest> {
    return new VerifiedRequest(proofKey, bound, await this.verify(bound.quote));
  }

  /** Verifies any quote, such as a server's attestation. */
  async verify(quote: Quote): Promise<VerifiedQuote> {
    const isKnownChain = this.#kinds.find(quote.certificateChainDigest) !== undefined;
    const platform = this.#kindOf(quote);
    const family = `${toHex(platform.fmspc)}/${platform.ca}`;
    // For an unknown family the signatures come first, so that a forged quote causes no request to Intel.
    if (!this.#families.has(family)) this.#verifier.verifyChainOnly(quote, { nowMs: this.#now() });
    this.#families.add(family);
    const { documents, state } = await this.#collateral.collateralFor(platform);
    const startMs = performance.now();
    try {
      return this.#verifier.verify(quote, {
        collateral: documents,
        nowMs: this.#now(),
        ...(state === 'grace' ? { collateralGraceMs: this.#collateral.graceMs } : {}),
      });
    } finally {
      this.#onJudged?.(performance.now() - startMs, isKnownChain);
    }
  }

  /** Reading a certificate chain costs more than hashing it, and a platform sends the same one every time. */
  #kindOf(quote: Quote): PlatformKind {
    return this.#kinds.get(quote.certificateChainDigest, () => {
      // Copies: a view would keep the whole unverified certificate in memory.
      const { fmspc, ca } = platformOf(quote);
      return { fmspc: copyBytes(fmspc), ca };
    });
  }
}
