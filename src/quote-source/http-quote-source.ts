import { tryFromBase64 } from '../bytes/base64.ts';
import type { ReportData } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { boundedFetch, type Fetch } from '../outbound/bounded-fetch.ts';
import type { QuoteSource } from './quote-source.ts';
import { MAX_PROVIDER_BYTES, receivedQuote } from './received-quote.ts';

/** How an {@link HttpQuoteSource} asks. */
export interface HttpQuoteSourceOptions {
  /** Base address of mock-tdx, `http://host:port`. */
  readonly url: string;
  /** Which simulated machine; mock-tdx takes 0 when absent. */
  readonly platform?: number;
  readonly version?: 4 | 5;
  /** Changes to the measurements, `0x` hex, by their names in `POST /quote`. */
  readonly measurements?: Readonly<Record<string, string>>;
  /** For one quote, default 10,000. */
  readonly timeoutMs?: number;
  readonly fetch?: Fetch;
}

/** Development quotes from mock-tdx over HTTP; real machines use {@link ConfigfsQuoteSource}. */
export class HttpQuoteSource implements QuoteSource {
  readonly #options: HttpQuoteSourceOptions;
  readonly #quoteUrl: string;

  /** @throws TypeError when the address is no http(s) address. */
  constructor(options: HttpQuoteSourceOptions) {
    const base = new URL(options.url);
    if (base.protocol !== 'http:' && base.protocol !== 'https:') {
      throw new TypeError(`${options.url} must be an http address`);
    }
    this.#options = options;
    this.#quoteUrl = `${base.href.replace(/\/+$/, '')}/quote`;
  }

  /**
   * @throws ProblemError QUOTE_SOURCE_UNAVAILABLE when the service cannot be reached in time.
   * @throws ProblemError QUOTE_SOURCE_FAILED when it refuses or its answer is unusable.
   */
  async quote(reportData: ReportData): Promise<Uint8Array> {
    const { platform, version, measurements, timeoutMs, fetch: fetchLike } = this.#options;
    const answer = await boundedFetch(fetchLike ?? fetch, {
      url: this.#quoteUrl,
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ reportData: toPrefixedHex(reportData), platform, version, measurements }),
      timeoutMs: timeoutMs ?? 10_000,
      maxBytes: 2 * MAX_PROVIDER_BYTES,
    });
    if (!answer.ok) {
      throw new ProblemError('QUOTE_SOURCE_UNAVAILABLE', `${this.#quoteUrl}: ${answer.reason}`, {
        hint: 'is mock-tdx running there? (npm run mock-tdx)',
      });
    }
    const text = new TextDecoder().decode(answer.body);
    if (answer.status !== 200) {
      const excerpt = text.slice(0, 300);
      throw new ProblemError(
        'QUOTE_SOURCE_FAILED',
        `${this.#quoteUrl} answered ${answer.status}: ${excerpt}`,
      );
    }
    return receivedQuote(this.#quoteBytes(text), reportData, this.#quoteUrl);
  }

  #quoteBytes(text: string): Uint8Array {
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch (cause) {
      throw new ProblemError('QUOTE_SOURCE_FAILED', `${this.#quoteUrl} answered no JSON`, { cause });
    }
    const quote =
      typeof answer === 'object' && answer !== null && 'quote' in answer ? answer.quote : undefined;
    const bytes = typeof quote === 'string' ? tryFromBase64(quote) : undefined;
    if (bytes !== undefined) return bytes;
    throw new ProblemError('QUOTE_SOURCE_FAILED', `${this.#quoteUrl} answered without a quote in base64`, {
      field: 'quote',
    });
  }
}
