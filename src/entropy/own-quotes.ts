import { z } from 'zod';
import { type AccountId, Nonce, type X25519PublicKey } from '../bytes/fixed-bytes.ts';
import { Memo } from '../bytes/memo.ts';
import { EvidenceError, RefusalError } from '../errors/latchkey-error.ts';
import type { QuoteSource } from '../quote-source/quote-source.ts';
import { TokenBuckets } from '../time/token-buckets.ts';
import {
  type RegistrationContext,
  registrationContext,
  registrationReportData,
} from '../trust/registration.ts';

/** Names of contexts in `GET /v1/attest`; a quote for a recovery is never made for others. */
const contexts: Readonly<Record<string, RegistrationContext>> = {
  validate: registrationContext.validate,
  change_endpoint: registrationContext.changeEndpoint,
  change_threshold_accounts: registrationContext.changeThresholdAccounts,
};

/** The nonce of the quote in `GET /v1/info`. */
const NO_NONCE = Nonce.of(new Uint8Array(Nonce.byteLength));
/** A quote takes up to a second of the platform, which the node needs for its own keys. */
const RATE = { burst: 6, perSecond: 0.2 };
const RATE_NAME = 'quotes';
/** Quotes that are remembered, and for how long. */
const MAX_QUOTES = 32;
const QUOTE_TTL_MS = 60_000;

/** Answer of `GET /v1/info`. */
export const infoAnswer = z.strictObject({
  account_id: z.string(),
  x25519_public_key: z.array(z.int().min(0).max(255)).length(32),
  tdx_quote: z.string().meta({ description: 'hex, without 0x' }),
  ready: z.boolean(),
});

/** This node's own quotes in Entropy's form: they bind account, X25519 key and context to a nonce of the chain. */
export class OwnQuotes {
  readonly #identity: { readonly account: AccountId; readonly x25519PublicKey: X25519PublicKey };
  readonly #source: QuoteSource;
  readonly #rate = new TokenBuckets(RATE);
  readonly #made = new Memo<Promise<Uint8Array>>(MAX_QUOTES, { ttlMs: QUOTE_TTL_MS });

  constructor(
    identity: { readonly account: AccountId; readonly x25519PublicKey: X25519PublicKey },
    source: QuoteSource,
  ) {
    this.#identity = identity;
    this.#source = source;
  }

  /** The quote that shows what this machine runs; its nonce is zero, so no chain takes it. */
  plain(nowMs: number): Promise<Uint8Array> {
    return this.#quote(registrationContext.validate, NO_NONCE, nowMs);
  }

  /**
   * The quote of `GET /v1/attest`.
   * @throws EvidenceError FIELD_INVALID; RefusalError RATE_LIMITED; ProblemError of the quote source.
   */
  forRegistration(query: Readonly<Record<string, string | undefined>>, nowMs: number): Promise<Uint8Array> {
    const context = Object.hasOwn(contexts, query['context'] ?? '')
      ? contexts[query['context'] ?? '']
      : undefined;
    if (context === undefined) {
      throw new EvidenceError('FIELD_INVALID', 'context: expected one of the contexts of a registration', {
        field: 'context',
        expected: Object.keys(contexts).join(', '),
      });
    }
    const nonce = query['nonce'];
    if (nonce === undefined) {
      throw new EvidenceError(
        'FIELD_INVALID',
        'nonce: this server sends no transaction to ask the chain for one',
        {
          field: 'nonce',
          expected: 'the 32 bytes that the chain gave for the account of this node, as 0x hex',
          observed: 'none',
          hint: 'GET /v1/attest?context=…&nonce=0x…',
        },
      );
    }
    return this.#quote(context, Nonce.parse(nonce, 'nonce'), nowMs);
  }

  #quote(context: RegistrationContext, nonce: Nonce, nowMs: number): Promise<Uint8Array> {
    const { account, x25519PublicKey } = this.#identity;
    const reportData = registrationReportData(account, x25519PublicKey, context, nonce);
    const name = `${reportData}`;
    const present = this.#made.find(name, nowMs);
    if (present !== undefined) return present;
    const waitMs = this.#rate.take(RATE_NAME, nowMs);
    if (waitMs > 0) {
      throw new RefusalError('RATE_LIMITED', 'this machine makes no more quotes for strangers now', {
        retryAfterMs: waitMs,
      });
    }
    const made = this.#source.quote(reportData);
    this.#made.set(name, made, nowMs);
    // A failure is not kept: the next request tries again.
    made.catch(() => this.#made.delete(name, made));
    return made;
  }
}
