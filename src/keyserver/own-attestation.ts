import type { AttestationMessage } from '../protocol/attestation.ts';
import { attestationReportData, type BlockReference } from '../protocol/report-data.ts';
import type { QuoteSource } from '../quote-source/quote-source.ts';

/** A server's own quote and what it binds. */
export type Attestation = AttestationMessage;

/**
 * The server's own attestation. It is made at most once per interval for any number of requests, because a quote
 * costs the platform up to a second.
 */
export class OwnAttestation {
  readonly #identity: Pick<Attestation, 'server' | 'x25519PublicKey' | 'instanceId'>;
  readonly #quotes: QuoteSource;
  readonly #finalized: () => BlockReference;
  readonly #intervalMs: number;
  #current: { readonly made: Promise<Attestation>; readonly atMs: number } | undefined;

  constructor(options: {
    readonly identity: Pick<Attestation, 'server' | 'x25519PublicKey' | 'instanceId'>;
    readonly quotes: QuoteSource;
    readonly finalized: () => BlockReference;
    readonly intervalMs: number;
  }) {
    this.#identity = options.identity;
    this.#quotes = options.quotes;
    this.#finalized = options.finalized;
    this.#intervalMs = options.intervalMs;
  }

  /** The attestation of this interval. @throws ProblemError QUOTE_SOURCE_UNAVAILABLE. */
  get(nowMs: number): Promise<Attestation> {
    const current = this.#current;
    if (current !== undefined && nowMs - current.atMs < this.#intervalMs && nowMs >= current.atMs) {
      return current.made;
    }
    const made = this.#make();
    this.#current = { made, atMs: nowMs };
    // A failure is not kept for the interval: the next request tries again.
    made.catch(() => {
      if (this.#current?.made === made) this.#current = undefined;
    });
    return made;
  }

  async #make(): Promise<Attestation> {
    const bound = { ...this.#identity, finalized: this.#finalized() };
    return { ...bound, quote: await this.#quotes.quote(attestationReportData(bound)) };
  }
}
