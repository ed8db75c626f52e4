import type { ReportData } from '../bytes/fixed-bytes.ts';

/** Makes TDX quotes of this machine. */
export interface QuoteSource {
  /**
   * A quote over 64 bytes of report data; takes 4 to 1,000 ms of the platform's time.
   * @throws ProblemError QUOTE_SOURCE_UNAVAILABLE saying what is missing.
   */
  quote(reportData: ReportData): Promise<Uint8Array>;
}
