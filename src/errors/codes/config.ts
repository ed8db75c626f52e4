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
  LUKS_VOLUME_EXISTS: {
    status: 409,
    summary: 'The store holds the header of a volume of this name already.',
  },
  LUKS_VOLUME_MISSING: { status: 404, summary: 'The store holds no header of a volume of this name.' },
  LUKS_FOLDER_NOT_IN_MEMORY: {
    status: 500,
    summary: 'The folder for a header in use is not in memory, where the host cannot change the file.',
  },
  LUKS_CRYPTSETUP_FAILED: {
    status: 500,
    summary: 'The program cryptsetup is missing or ended with an error.',
  },
} as const satisfies Record<string, CodeEntry>;
