import type { CodeEntry } from './code-entry.ts';

/** Codes of chain reads. */
export const chainCodes = {
  CHAIN_UNAVAILABLE: { status: 503, summary: 'The chain cannot be read now.' },
} as const satisfies Record<string, CodeEntry>;
