import type { CodeEntry } from './code-entry.ts';

/** Codes of the middleware and of decoding: the request is refused before its evidence is read. */
export const httpCodes = {
  FIELD_INVALID: {
    status: 400,
    summary: 'A field is missing, has the wrong length or format, or is not known.',
  },
  BODY_NOT_JSON: { status: 400, summary: 'The body is not valid JSON.' },
  BODY_INCOMPLETE: { status: 400, summary: 'The connection ended before the body was complete.' },
  BODY_TOO_LARGE: { status: 413, summary: 'The body is larger than this route accepts.' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, summary: 'The body must be application/json.' },
  ROUTE_NOT_FOUND: { status: 404, summary: 'There is no such route.' },
  HOST_REFUSED: {
    status: 421,
    summary:
      'The status page is not served under this name (page.hostNames lists more than those of the own machine), or not to another web page.',
  },
  METHOD_NOT_ALLOWED: { status: 405, summary: 'The route exists, but not for this method.' },
  PRECONDITION_FAILED: {
    status: 412,
    summary: 'If-Match or If-None-Match does not hold of the present value; nothing was written.',
  },
  RATE_LIMITED: {
    status: 429,
    summary: 'Too many requests from this peer; Retry-After says when to try again.',
  },
  REQUEST_TIMEOUT: { status: 504, summary: 'The request took longer than its deadline.' },
  LISTEN_FAILED: { status: 500, summary: 'The address to listen on cannot be bound.' },
  INTERNAL: { status: 500, summary: 'An unexpected failure; the log has the request id and the cause.' },
} as const satisfies Record<string, CodeEntry>;
