import type { CodeEntry } from './code-entry.ts';

/** Codes of the ritual, decryption and epoch services. */
export const dataServiceCodes = {
  RITUAL_NOT_FOUND: { status: 404, summary: 'There is no fragment for this ritual.' },
  EPOCH_ENCODING: { status: 422, summary: 'An epoch record or DKG message is malformed.' },
  EPOCH_RECORD_INVALID: {
    status: 500,
    summary: 'A record of the epoch journal does not say what its name says; another program wrote there.',
  },
  EPOCH_LIMIT: { status: 413, summary: 'An epoch message is too large, or an epoch has too many of a kind.' },
  EPOCH_PRUNED: { status: 410, summary: 'The epoch was pruned; nothing can be written to it again.' },
  EPOCH_IS_CURRENT: { status: 409, summary: 'The current epoch and later ones cannot be pruned.' },
  EPOCH_JOURNAL_NOT_FOUND: { status: 404, summary: 'The store has no epoch journal of this name.' },
  EPOCH_ENTRY_NOT_FOUND: { status: 404, summary: 'The epoch holds no such dealing, share or seed.' },
  EPOCH_CONFLICT: { status: 409, summary: 'Another state is already committed for this epoch.' },
  EPOCH_SECRET_CONFLICT: {
    status: 409,
    summary: 'Another share or dealer seed is already kept for this epoch; a node must not change either.',
  },
  RITUAL_ENTRY_NOT_FOUND: { status: 404, summary: 'Nothing of this kind is kept for this ritual.' },
  RITUAL_CONFLICT: { status: 409, summary: 'Another fragment is already stored for this ritual.' },
  RITUAL_NOT_ACTIVE: {
    status: 409,
    summary:
      'Only a ritual whose aggregations are complete is kept as active, and only for an active one is decrypted.',
  },
  RITUAL_NOT_PARTICIPANT: {
    status: 403,
    summary: 'The validator is none of this ritual, so it has no share of its decryptions.',
  },
  RITUAL_UNAUTHORIZED: { status: 403, summary: 'The guard refuses this operation on this ritual.' },
  RITUAL_EXPIRED: { status: 410, summary: 'The guard refuses: the ritual has expired.' },
  RITUAL_UNPAID: { status: 402, summary: 'The guard refuses: the ritual is not paid for.' },
  RITUAL_RECORD_DAMAGED: {
    status: 500,
    summary: 'A stored ritual record has a form that this program never writes.',
  },
  RECORD_NOT_FOUND: { status: 404, summary: 'No typed record has this id, or matches this query.' },
  TRANSACTION_ABORTED: {
    status: 500,
    summary: 'An error escaped from a transaction, and nothing of it was written; `cause` has the error.',
  },
  RITUALS_BACKUP_TOO_LARGE: {
    status: 413,
    summary: 'The backup in JSON would be larger than a restore can read; nothing was kept of it.',
  },
  RITUALS_CONFIG_INVALID: {
    status: 400,
    summary: 'The configuration file of the ritual service is wrong; the message names the place.',
  },
  RITUALS_CONFIG_VERSION: {
    status: 400,
    summary: 'The configuration file of the ritual service has a version that this program does not know.',
  },
  DECRYPTION_NOT_FOUND: { status: 404, summary: 'No decryption was put for this key in time.' },
  DECRYPTION_BODY_SHAPE: {
    status: 422,
    summary: 'The body is JSON, but not a value of 64 bits and a base64 signature.',
  },
  DECRYPTION_SIGNATURE_INVALID: { status: 400, summary: 'The signature is not base64.' },
  DECRYPTION_CONFLICT: {
    status: 409,
    summary: 'Another decryption is stored for this key, and this service does not overwrite.',
  },
  DECRYPTION_SIGNATURES_FULL: {
    status: 409,
    summary: 'This decryption has as many oracle signatures as are kept.',
  },
  DECRYPTION_WAITERS_FULL: {
    status: 503,
    summary: 'Too many requests wait for decryptions already; try again later.',
  },
  DECRYPTION_BODIES_FULL: {
    status: 503,
    summary: 'The bodies of all requests take as much memory as they may; try again later.',
  },
  DECRYPTION_WRITE_UNAUTHENTICATED: {
    status: 401,
    summary: 'The write carries no valid bearer token or signature.',
  },
  DECRYPTION_WRITE_FORBIDDEN: { status: 403, summary: 'This account may not write decryptions.' },
  DECRYPTION_SERVICE_CLOSED: { status: 503, summary: 'The decryption service is shutting down.' },
  DECRYPTION_RECORD_DAMAGED: {
    status: 500,
    summary: 'A stored decryption has a form that this program never writes.',
  },
  DECRYPTIONS_CONFIG_INVALID: {
    status: 400,
    summary: 'The configuration of the decryption service is wrong; the message names the place.',
  },
  DECRYPTIONS_ENGINE_UNAVAILABLE: {
    status: 503,
    summary:
      'No member of the etcd cluster answered in time, or whether a write was applied is not known; ask again.',
  },
  DECRYPTIONS_ENGINE_REFUSED: {
    status: 503,
    summary:
      'The etcd cluster refuses this service: its user, its permissions or its room; the message says which.',
  },
  DECRYPTIONS_ENGINE_ANSWER_INVALID: {
    status: 503,
    summary: 'Something answered that is no etcd, or another cluster than before.',
  },
  DECRYPTIONS_LISTEN_FAILED: {
    status: 503,
    summary: 'The decryption service cannot listen at its address; the message says why.',
  },
} as const satisfies Record<string, CodeEntry>;
