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
  return answer(context, JSON.stringify(value));
}

/**
 * Answers 200 with JSON that is written already. Behind a socket all answers of the same bytes share their memory, also
 * while nobody reads them; a `Response` would copy them for each.
 */
export function answerJsonBytes(context: Context<MiddlewareEnv>, bytes: Uint8Array<ArrayBuffer>): Response {
  return answer(context, bytes);
}

function answer(context: Context<MiddlewareEnv>, json: string | Uint8Array<ArrayBuffer>): Response {
  const outgoing = outgoingOf(context);
  if (outgoing === undefined) return context.body(json, 200, headers);
  if (!context.get('isAnswered')) {
    outgoing.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(json) });
    outgoing.end(json);
  }
  return RESPONSE_ALREADY_SENT;
}
