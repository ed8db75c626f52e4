import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { readIncoming } from '../inbound/read-incoming.ts';
import { headerOf, incomingOf } from './node-bindings.ts';

/**
 * Refuses bodies of more than `maxBytes`: by the length that they announce, and where they announce none (chunked) by
 * counting. An announced length needs no counting: the HTTP parser reads exactly that number of bytes as the body (RFC 9112
 * section 6.2). hono's own middleware wraps every body in a web stream to look at its header, which costs more than
 * verifying the quote inside, and cannot read a chunked body behind this listener at all.
 * @throws EvidenceError BODY_TOO_LARGE, BODY_INCOMPLETE.
 */
export function limitBody(maxBytes: number | ((path: string) => number)): MiddlewareHandler {
  if (typeof maxBytes === 'function') {
    return (context, next) => limitBody(maxBytes(context.req.path))(context, next);
  }
  const refuse = (): never => {
    throw new EvidenceError('BODY_TOO_LARGE', `the body is larger than ${maxBytes} bytes`, {
      expected: `at most ${maxBytes} bytes`,
    });
  };
  const countWithoutSocket = bodyLimit({ maxSize: maxBytes, onError: refuse });
  return async function limited(context, next) {
    const { method } = context.req;
    // No route reads a body of these methods; the listener discards it.
    if (method === 'GET' || method === 'HEAD') return next();
    const announced = headerOf(context, 'content-length');
    if (announced !== undefined && headerOf(context, 'transfer-encoding') === undefined) {
      // Only plain digits are a valid length.
      if (!/^\d{1,15}$/.test(announced) || Number(announced) > maxBytes) refuse();
      return next();
    }
    const incoming = incomingOf(context);
    if (incoming === undefined) return countWithoutSocket(context, next);
    // The listener takes the text of the request from this property if it is there.
    const body = (await readIncoming(incoming, maxBytes)) ?? refuse();
    Object.assign(incoming, { rawBody: Buffer.from(body.buffer) });
    return next();
  };
}
