import type { IncomingMessage } from 'node:http';
import type { Context } from 'hono';

/** What a listener on node:http gives with a request; absent when an app is called without a socket, as tests do. */
interface NodeBindings {
  readonly incoming?: IncomingMessage;
}

/**
 * One header of a request. Behind a socket it is read from Node's own record: a `Headers` object, which the Fetch API
 * would make of all of them for one look, costs as much as a key agreement.
 */
export function headerOf(
  context: Context,
  name: 'content-type' | 'content-length' | 'transfer-encoding',
): string | undefined {
  // The listener alone decides what env holds; hono leaves its type to the app.
  const { incoming } = (context.env ?? {}) as NodeBindings;
  return incoming === undefined ? context.req.header(name) : incoming.headers[name];
}
