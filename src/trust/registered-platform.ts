import { ReportData } from '../bytes/fixed-bytes.ts';
import type { ServerRecord } from '../chain/chain-view.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { parseQuote } from '../tdx/quote.ts';
import type { QuoteVerifier } from '../tdx/verify-quote.ts';
import { judgeRegistration } from './registration.ts';

/**
 * PPID (16 bytes) that the registered quote of a record proves for its account and X25519 key; `undefined` when it
 * proves none. The quote is verified without collateral: it names the machine and says nothing about its state.
 */
export function provenPlatform(
  record: Pick<ServerRecord, 'account' | 'x25519PublicKey' | 'quote'>,
  verifier: QuoteVerifier,
  nowMs: number,
): Uint8Array | undefined {
  try {
    const quote = parseQuote(record.quote, { trailing: 'allow-zero-padding' });
    // Before the signatures, which cost a hundred times as much: a hostile chain may be full of others' quotes.
    judgeRegistration(ReportData.of(quote.body.reportData), record.account, record.x25519PublicKey);
    return verifier.verifyChainOnly(quote, { nowMs }).platform.ppid;
  } catch (error) {
    if (error instanceof LatchkeyError) return undefined;
    throw error;
  }
}
