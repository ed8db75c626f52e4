import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import type { MiddlewareEnv } from './middleware.ts';
import { outgoingOf } from './node-bindings.ts';

const headers = { 'content-type': 'application/json' };

/**
 * Answers 200 with a value as JSON. Behind a socket the text goes straight to node:http: the web stream that a `Response`
 * makes of it, and that the listener reads again, costs as much as verifying a signature.
 */
export function answerJson(context: Context<MiddlewareEnv>, value: unknown): Response {
  const text = JSON.stringify(value);
  const outgoing = outgoingOf(context);
  if (outgoing === undefined) return context.body(text, 200, headers);
  if (!context.get('isAnswered')) {
    outgoing.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(text) });
    outgoing.end(text);
  }
  return RESPONSE_ALREADY_SENT;
}
