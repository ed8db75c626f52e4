import type { CodeEntry } from './code-entry.ts';

/** Codes of boot and healing. */
export const bootCodes = {
  NODE_LOCKED: { status: 503, summary: 'The store of this node is not open yet.' },
} as const satisfies Record<string, CodeEntry>;
