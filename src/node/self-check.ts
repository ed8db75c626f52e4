import { ReportData } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import type { RandomSource } from '../crypto/random.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { QuoteSource } from '../quote-source/quote-source.ts';
import { parseQuote } from '../tdx/quote.ts';
import { orAborted } from '../time/or-aborted.ts';
import { measurementId } from '../trust/measurement.ts';
import { judgeOwnTrustHash } from '../trust/trust-hash.ts';
import type { TrustSection } from '../trust/trust-section.ts';
import type { NodeParts } from './parts.ts';

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

/** Between two examinations while they fail. */
const RETRY_MS = 2_000;

/**
 * Tries until this machine satisfies its own trust section.
 * @param onRefused told why an attempt failed.
 * @returns `undefined` when the signal aborted before.
 */
export async function examineUntilGood(
  { quotes, random, clock, log }: Pick<NodeParts, 'quotes' | 'random' | 'clock' | 'log'>,
  trust: TrustSection,
  signal: AbortSignal,
  onRefused: (reason: string) => void,
): Promise<OwnMachine | undefined> {
  while (!signal.aborted) {
    try {
      const machine = await orAborted(examineOwnMachine(quotes, trust, random), signal);
      log('info', 'machine.examined', machine.description);
      return machine;
    } catch (error) {
      if (signal.aborted) break;
      const reason = error instanceof Error ? error.message : String(error);
      const hashes =
        error instanceof LatchkeyError && error.code === 'TRUST_HASH_MISMATCH'
          ? { trustHash: error.expected, mrConfigId: error.observed }
          : {};
      log('error', 'machine.refused', { reason, ...hashes });
      onRefused(reason);
      await clock.sleep(RETRY_MS, signal);
    }
  }
  return undefined;
}
