import type { CodeEntry } from './code-entry.ts';

/** Codes of the quote verifier. */
export const tdxCodes = {
  QUOTE_MALFORMED: { status: 422, summary: 'The quote breaks the fixed layout of TDX quotes v4 and v5.' },
} as const satisfies Record<string, CodeEntry>;
