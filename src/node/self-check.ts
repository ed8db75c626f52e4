import { ReportData } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import type { RandomSource } from '../crypto/random.ts';
import type { QuoteSource } from '../quote-source/quote-source.ts';
import { parseQuote } from '../tdx/quote.ts';
import { measurementId } from '../trust/measurement.ts';
import { judgeOwnTrustHash } from '../trust/trust-hash.ts';
import type { TrustSection } from '../trust/trust-section.ts';

/** What a machine learns of itself from a quote of its own. */
export interface OwnMachine {
  /** BLAKE2b-256 of its measurement registers. */
  readonly measurement: Uint8Array;
  /** For logs: the measurement, and what MRCONFIGID is. */
  readonly description: Readonly<Record<string, string>>;
}

/**
 * Quotes itself once at start: its measurement is what it accepts of others, and its MRCONFIGID must be the hash of
 * its trust section, or the host has given it another configuration than the one that is measured.
 * @throws ProblemError TRUST_HASH_MISMATCH, QUOTE_SOURCE_UNAVAILABLE.
 */
export async function examineOwnMachine(
  quotes: QuoteSource,
  trust: TrustSection,
  random: RandomSource,
): Promise<OwnMachine> {
  const bytes = await quotes.quote(ReportData.of(random(ReportData.byteLength)));
  const { body } = parseQuote(bytes, { trailing: 'allow-zero-padding' });
  const mismatch = judgeOwnTrustHash(trust, body.mrConfigId);
  if (mismatch !== undefined) throw mismatch;
  const measurement = measurementId(body);
  return {
    measurement,
    description: { measurement: toPrefixedHex(measurement), mrConfigId: toPrefixedHex(body.mrConfigId) },
  };
}
