import type { MiddlewareHandler } from 'hono';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { incomingOf } from './node-bindings.ts';

/** A dot and its percent-encoded form are the same to a URL parser (WHATWG URL, "single-dot URL path segment"). */
const DOT_SEGMENT = /^(?:\.|%2e){1,2}$/i;

/**
 * Refuses a request whose path has a part `.` or `..` as it was sent. The listener's URL parser removes such parts before a
 * route sees the path: `DELETE /kv/./shares` would be `DELETE /kv/shares`, which destroys a namespace.
 * @throws EvidenceError FIELD_INVALID, before any route.
 */
export const refuseDotSegments: MiddlewareHandler = async function withoutDotSegments(context, next) {
  // An app that is called without a socket gets a URL that was parsed already.
  const [path = ''] = (incomingOf(context)?.url ?? context.req.path).split(/[?#]/, 1);
  if (path.split(/[/\\]/).some((part) => DOT_SEGMENT.test(part))) {
    throw new EvidenceError('FIELD_INVALID', 'the path has a part . or .., which changes what it names', {
      field: 'path',
      expected: 'no part . or .., in any spelling',
      observed: path.slice(0, 80),
    });
  }
  await next();
};
