import type { CodeEntry } from './code-entry.ts';

/** Codes of the configuration and the command line. */
export const configCodes = {
  CONFIG_INVALID: { status: 500, summary: 'The configuration is wrong; the message names the place.' },
} as const satisfies Record<string, CodeEntry>;
