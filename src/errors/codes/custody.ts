import type { CodeEntry } from './code-entry.ts';

/** Codes of custody: the way back after a total blackout. */
export const custodyCodes = {
  CUSTODY_BLOCK_MALFORMED: {
    status: 400,
    summary: 'A text block of custody (request, answer or key) is damaged, or is of another kind.',
  },
  CUSTODY_ABSENT: {
    status: 409,
    summary: 'The keyslot file has no parts of custodians for this generation.',
  },
  CUSTODY_PART_WRONG: {
    status: 400,
    summary: 'No part of a request opens with this custodian’s key: it is for others, or was changed.',
  },
  CUSTODY_REQUEST_OLD: {
    status: 422,
    summary:
      'A request to custodians is older than a week, or from before the checkpoint of the trust section.',
  },
  CUSTODY_CLOCKS_DIFFER: {
    status: 422,
    summary: 'A request to custodians is dated after the time of the computer that judges it.',
  },
  CUSTODY_UNCONFIRMED: {
    status: 409,
    summary: 'The custodian did not confirm the account that asks, so no part was given.',
  },
  CUSTODY_REQUEST_UNKNOWN: {
    status: 409,
    summary: 'No request of this process waits for this answer; a restart voids a request.',
  },
  CUSTODY_ANSWER_WRONG: {
    status: 400,
    summary:
      'An answer does not open, or holds another part than the keyslot file names; its custodian is named.',
  },
  CUSTODY_NOT_NEEDED: {
    status: 409,
    summary: 'The store is open, or t key servers still give their keys, so custodians must not open it.',
  },
} as const satisfies Record<string, CodeEntry>;
