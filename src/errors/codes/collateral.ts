import type { CodeEntry } from './code-entry.ts';

/** Codes of the collateral sources and the quote sources. */
export const collateralCodes = {
  COLLATERAL_UNAVAILABLE: {
    status: 503,
    summary: 'No collateral for this platform could be had, and none usable is cached.',
  },
  COLLATERAL_ROLLED_BACK: {
    status: 503,
    summary: 'A collateral service offered older collateral than was seen before.',
  },
  COLLATERAL_FILE_INVALID: {
    status: 500,
    summary: 'The collateral file cannot be read or is no collateral set.',
  },
  QUOTE_SOURCE_UNAVAILABLE: {
    status: 503,
    summary: 'This machine cannot make a TDX quote; the message says what is missing.',
  },
  QUOTE_SOURCE_FAILED: {
    status: 503,
    summary: 'The quote source answered, but not with a quote over our report data.',
  },
} as const satisfies Record<string, CodeEntry>;
