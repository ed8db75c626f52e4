import type { CodeEntry } from './code-entry.ts';

/** Codes of the collateral sources and the quote sources. */
export const collateralCodes = {
  COLLATERAL_UNAVAILABLE: {
    status: 503,
    summary: 'No collateral for this platform could be had, and none usable is cached.',
  },
  QUOTE_SOURCE_UNAVAILABLE: {
    status: 503,
    summary: 'This machine cannot make a TDX quote; the message says what is missing.',
  },
} as const satisfies Record<string, CodeEntry>;
