import type { CodeEntry } from './code-entry.ts';

/** Codes of the configuration and the command line. */
export const configCodes = {
  CONFIG_INVALID: { status: 500, summary: 'The configuration is wrong; the message names the place.' },
  ENVIRONMENT_REFUSED: {
    status: 500,
    summary:
      'An environment variable or a flag of Node would change the process, and no measurement covers it.',
  },
  NODE_UNREACHABLE: { status: 503, summary: 'No running node answers on its local socket.' },
} as const satisfies Record<string, CodeEntry>;
