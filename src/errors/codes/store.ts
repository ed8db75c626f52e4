import type { CodeEntry } from './code-entry.ts';

/** Codes of the sealed store and of the keyslot file. */
export const storeCodes = {
  STORE_CLOSED: { status: 503, summary: 'The store is closed.' },
  STORE_ALREADY_RESERVED: { status: 409, summary: 'The name is reserved already and has no value yet.' },
  STORE_NAME_TAKEN: { status: 409, summary: 'The name has a value already, so it cannot be reserved.' },
  STORE_RESERVATION_INVALID: {
    status: 409,
    summary: 'The reservation was used, given back, forged, or belongs to another store.',
  },
  STORE_NAME_MISSING: { status: 404, summary: 'There is no value under this name.' },
  STORE_NAME_RESERVED: { status: 409, summary: 'The name is reserved and has no value yet.' },
  STORE_PASSWORD_WRONG: {
    status: 403,
    summary: 'The password is wrong, or the password header of the store was altered.',
  },
  STORE_PASSWORD_HEADER: {
    status: 422,
    summary: 'The password header of the store is missing, damaged, or of a newer version.',
  },
  STORE_PASSWORD_INVALID: { status: 400, summary: 'The password file is empty or too large.' },
} as const satisfies Record<string, CodeEntry>;
