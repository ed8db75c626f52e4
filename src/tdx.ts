/**
 * Verification of Intel TDX quotes: the face of `latchkey/tdx` and of the package `@latchkey/tdx`, in Node.js and in
 * browsers.
 */
export { type GetCollateralOptions, getCollateral } from './collateral/get-collateral.ts';
export { INTEL_PCS_URL, type TcbUpdate } from './collateral/service-client.ts';
export { parseCcel } from './tdx/ccel.ts';
export { parseDstackLog } from './tdx/dstack-log.ts';
export {
  type MeasuredEvent,
  type RtmrName,
  type Rtmrs,
  replayEvents,
  requireEvents,
} from './tdx/event-log.ts';
export { mrConfigIdOf, requireMrConfigId } from './tdx/mr-config-id.ts';
export { parseBase64Quote, parseHexQuote, parsePaddedQuote } from './tdx/quote-text.ts';
export type { TdReport, TdReportExtension } from './tdx/td-report.ts';
export * from './tdx/verify-quote.ts';
