import type { CodeEntry } from './code-entry.ts';

/** Codes of the sealed store and of the keyslot file. */
export const storeCodes = {
  STORE_CLOSED: { status: 503, summary: 'The store is closed.' },
} as const satisfies Record<string, CodeEntry>;
