import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { headerOf } from './header-of.ts';

/**
 * Refuses bodies of more than `maxBytes`: by the length that they announce, and where they announce none (chunked) by
 * counting. An announced length needs no counting: the HTTP parser takes no byte more as this request's body (RFC 9112
 * section 6.2). hono's own middleware counts as well, but to look at the header it first wraps every body in a web
 * stream, which costs more than verifying the quote inside.
 * @throws EvidenceError BODY_TOO_LARGE.
 */
export function limitBody(maxBytes: number): MiddlewareHandler {
  const refuse = (): never => {
    throw new EvidenceError('BODY_TOO_LARGE', `the body is larger than ${maxBytes} bytes`, {
      expected: `at most ${maxBytes} bytes`,
    });
  };
  const count = bodyLimit({ maxSize: maxBytes, onError: refuse });
  return async function limited(context, next) {
    const { method } = context.req;
    // No route reads a body of these, and what comes none the less is thrown away by the listener.
    if (method === 'GET' || method === 'HEAD') return next();
    const announced = headerOf(context, 'content-length');
    if (announced === undefined || headerOf(context, 'transfer-encoding') !== undefined) {
      return count(context, next);
    }
    // Anything but plain digits is no length that can be relied on.
    if (!/^\d{1,15}$/.test(announced) || Number(announced) > maxBytes) refuse();
    return next();
  };
}
