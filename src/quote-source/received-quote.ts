import { equalBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import type { ReportData } from '../bytes/fixed-bytes.ts';
import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import { parseQuote } from '../tdx/quote.ts';
import * as layout from '../tdx/quote-layout.ts';

/** Providers hand out padded buffers: up to 3 kB behind the quote was seen. */
export const MAX_PROVIDER_BYTES = 4 * layout.MAX_QUOTE_BYTES;

/**
 * Checks what a provider handed out before anybody relies on it: cuts what lies behind the quote's own end (no
 * signature covers it, and servers refuse it), and compares the report data.
 * @throws ProblemError QUOTE_SOURCE_FAILED.
 */
export function receivedQuote(bytes: Uint8Array, reportData: ReportData, source: string): Uint8Array {
  const quote = copyBytes(bytes.subarray(0, endOfQuote(bytes)));
  let observed: Uint8Array;
  try {
    observed = parseQuote(quote).body.reportData;
  } catch (cause) {
    if (!(cause instanceof LatchkeyError)) throw cause;
    const message = `${source} gave ${bytes.length} bytes that are no TDX quote: ${cause.message}`;
    throw new ProblemError('QUOTE_SOURCE_FAILED', message, { cause });
  }
  if (!equalBytes(observed, reportData)) {
    throw new ProblemError('QUOTE_SOURCE_FAILED', `${source} gave a quote over other report data`, {
      field: 'reportData',
    });
  }
  return quote;
}

/** Where the quote ends by its own lengths, or the end of the bytes when they make no sense. */
function endOfQuote(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u32 = (offset: number) => (offset + 4 <= bytes.length ? view.getUint32(offset, true) : 0);
  const version5 = bytes.length > layout.HEADER_BYTES && view.getUint16(0, true) === 5;
  const signedLength = version5
    ? layout.HEADER_BYTES + layout.BODY_DESCRIPTOR_BYTES + u32(layout.HEADER_BYTES + 2)
    : layout.HEADER_BYTES + layout.TD_REPORT_1_0_BYTES;
  return Math.min(bytes.length, signedLength + 4 + u32(signedLength));
}
