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
  SECRET_USER_REFUSED: {
    status: 403,
    summary: 'The operator of this node does not list the account of the user.',
  },
  SECRET_EXISTS: { status: 409, summary: 'The secret exists; it is changed with `update`.' },
  SECRET_NOT_HOLDER: {
    status: 421,
    summary: 'This node does not hold this secret, or is not the nearest one, which alone counts its uses.',
  },
  SECRET_RING_FULL: {
    status: 507,
    summary: 'The node takes no more secrets: its own store keeps the rest of its space.',
  },
  SECRET_SEALING_WRONG: {
    status: 400,
    summary: 'The body is not sealed to the registered key of this node for this route.',
  },
  SECRET_VERB_UNKNOWN: { status: 400, summary: 'The verb is none that a relay sends.' },
  SECRET_OUTCOME_UNKNOWN: {
    status: 409,
    summary:
      'A request with this idempotency key was begun before; whether the upstream acted on it is not known.',
  },
  SECRET_HEADER_REFUSED: { status: 400, summary: 'The request has a header that belongs to the connection.' },
  SECRET_VALUE_UNUSABLE: {
    status: 409,
    summary: 'The value of the secret cannot stand where the placeholder is.',
  },
  SECRET_ADDRESS_REFUSED: {
    status: 403,
    summary:
      'The URL leads to an address that is not global unicast, or to this fleet; operators can allow addresses.',
  },
  SECRET_RELAY_BUSY: { status: 503, summary: 'Too many requests to upstream services are under way.' },
  SECRET_UPSTREAM_UNREACHABLE: {
    status: 502,
    summary: 'There is no connection to the upstream, or its certificate is wrong; nothing was sent.',
  },
  SECRET_UPSTREAM_FAILED: {
    status: 502,
    summary:
      'The upstream broke off, or answered something else than HTTP; it may have acted on the request.',
  },
  SECRET_UPSTREAM_TIMEOUT: {
    status: 504,
    summary: 'The upstream did not answer completely in time; it may have acted on the request.',
  },
  SECRET_ANSWER_TOO_LARGE: {
    status: 502,
    summary:
      'The answer of the upstream is larger than the node takes; the upstream may have acted on the request.',
  },
} as const satisfies Record<string, CodeEntry>;
