import type { CodeEntry } from './code-entry.ts';

/** Codes of users' secrets. */
export const secretsCodes = {
  SECRET_RECORD_INVALID: {
    status: 400,
    summary: 'The record of a secret is malformed, or is not in its one encoding.',
  },
  SECRET_SIGNATURE_INVALID: { status: 401, summary: 'The signature of the user does not cover these bytes.' },
  SECRET_VALUE_MISMATCH: { status: 400, summary: 'Salt and value are not those that the record names.' },
  SECRET_TOO_LARGE: { status: 413, summary: 'The value of the secret is larger than one may be.' },
  SECRET_VERSION_OLD: { status: 409, summary: 'A record with this version, or a newer one, is stored.' },
  SECRET_OTHER_NODE: { status: 401, summary: 'The request was signed for another node or another purpose.' },
  SECRET_REQUEST_STALE: { status: 401, summary: 'The time in the signed request is too far from the clock.' },
  SECRET_REQUEST_REPLAYED: { status: 409, summary: 'This signed request was received before.' },
  SECRET_QUOTA: { status: 403, summary: 'The user has as many secrets, or as many bytes, as are allowed.' },
  SECRET_NOT_FOUND: { status: 404, summary: 'There is no such secret, or it was deleted.' },
  SECRET_EXPIRED: { status: 410, summary: 'The secret has expired; its user can renew it.' },
  SECRET_CALLER_REFUSED: { status: 403, summary: 'The ACL of the secret does not name this caller.' },
  SECRET_ACL_EXPIRED: { status: 403, summary: 'The ACL of the secret has expired.' },
  SECRET_SCOPE_MISMATCH: {
    status: 403,
    summary: 'The URL is not below the origin and path prefix of the secret.',
  },
  SECRET_VERB_REFUSED: { status: 403, summary: 'The verb is unknown, or the ACL does not allow it.' },
  SECRET_PATH_REFUSED: { status: 403, summary: 'The path matches no pattern of the ACL.' },
  SECRET_PLACE_REFUSED: {
    status: 403,
    summary: 'The placeholder is in a header or body in which the ACL does not allow it.',
  },
  SECRET_PLAIN_HTTP_REFUSED: { status: 403, summary: 'The ACL does not allow http without TLS.' },
  SECRET_COUNT_EXHAUSTED: {
    status: 429,
    summary: 'The ACL allows no further request in this period; Retry-After says when to try again.',
  },
} as const satisfies Record<string, CodeEntry>;
