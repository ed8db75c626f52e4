import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from 'hono';

/** What the listener gives with a request. */
interface NodeBindings {
  readonly incoming?: IncomingMessage;
  readonly outgoing?: ServerResponse;
}

// The listener alone decides what env holds; hono leaves its type to the app.
const bindingsOf = (context: Context): NodeBindings => context.env ?? {};

/** The request object of node:http; `undefined` when an app is called without a socket, as in tests. */
export const incomingOf = (context: Context): IncomingMessage | undefined => bindingsOf(context).incoming;

/** The answer object of node:http; `undefined` when an app is called without a socket. */
export const outgoingOf = (context: Context): ServerResponse | undefined => bindingsOf(context).outgoing;

/**
 * One header of a request. Behind a socket it is read from Node's own record: a `Headers` object, which the Fetch API
 * would make of all of them for one look, costs as much as a key agreement.
 */
export function headerOf(
  context: Context,
  name: 'content-type' | 'content-length' | 'transfer-encoding',
): string | undefined {
  const incoming = incomingOf(context);
  return incoming === undefined ? context.req.header(name) : incoming.headers[name];
}
