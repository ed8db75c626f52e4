import type { CodeEntry } from './code-entry.ts';

/** Codes of the ritual, decryption and epoch services. */
export const dataServiceCodes = {
  RITUAL_NOT_FOUND: { status: 404, summary: 'There is no fragment for this ritual.' },
} as const satisfies Record<string, CodeEntry>;
