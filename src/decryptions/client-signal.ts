import { ServerResponse } from 'node:http';
import type { Context } from 'hono';

/** Tells that the client has disconnected: the part of `AbortSignal` that waiting needs. */
export interface ClientSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * The signal of a request. On Node it is the response's own `close` event: the adapter's `AbortSignal` makes a whole
 * `Request` with a transferable signal, which was the largest cost with 10,000 waiters.
 */
export function clientSignal(c: Context): ClientSignal {
  const outgoing = outgoingOf(c.env);
  return outgoing === undefined ? c.req.raw.signal : new ResponseSignal(outgoing);
}

/** Node's response, which the adapter passes in the environment; other runtimes and tests do not. */
export function outgoingOf(environment: unknown): ServerResponse | undefined {
  // Other runtimes pass what they like; a property of any value but null and undefined can be asked for.
  const outgoing = (environment as { readonly outgoing?: unknown } | null | undefined)?.outgoing;
  return outgoing instanceof ServerResponse ? outgoing : undefined;
}

class ResponseSignal implements ClientSignal {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get aborted(): boolean {
    return this.#response.destroyed;
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#response.once('close', listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#response.off('close', listener);
  }
}
