import type { CodeEntry } from './code-entry.ts';

/** Codes of the transit routes, docs/transit.md. */
export const transitCodes = {
  TRANSIT_CIPHERTEXT_INVALID: {
    status: 400,
    summary:
      'The ciphertext does not open with a key of this name in this store: another name, version or associated data, altered bytes, or a ciphertext of another node.',
  },
  TRANSIT_KEY_NOT_FOUND: { status: 404, summary: 'There is no transit key of this name to rotate.' },
  TRANSIT_KEYS_FULL: { status: 507, summary: 'The store has as many transit keys as it may have.' },
} as const satisfies Record<string, CodeEntry>;
