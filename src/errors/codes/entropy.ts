import type { CodeEntry } from './code-entry.ts';

/** Codes of the routes of entropy-tss, docs/entropy.md. */
export const entropyCodes = {
  ENVELOPE_INVALID: {
    status: 400,
    summary: 'The HPKE message does not open with the key of this server, or holds no signed message.',
  },
  ENVELOPE_SIGNATURE_WRONG: {
    status: 401,
    summary: 'The signature inside the HPKE message is not of the account that it names.',
  },
  BACKUP_KEY_LENGTH: { status: 400, summary: 'A key to be backed up has 32 bytes.' },
  BACKUP_UNREGISTERED: {
    status: 403,
    summary: 'The account has no record on the chain, so this server takes no backup of it.',
  },
  BACKUP_PLATFORM_UNKNOWN: {
    status: 403,
    summary: 'The quote that the chain registers for the account proves no platform to bind its key to.',
  },
  BACKUP_CONFLICT: {
    status: 409,
    summary:
      'This server holds another key of this account already; it stays, and the new one was not taken.',
  },
  QUOTE_NONCE_INVALID: {
    status: 401,
    summary: 'The quote has no nonce that this server gave for this response key and account.',
  },
  QUOTE_NONCE_EXPIRED: { status: 401, summary: 'The nonce of the quote is older than its 16 minutes.' },
} as const satisfies Record<string, CodeEntry>;
