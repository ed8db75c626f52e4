import type { Hono } from 'hono';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { jsonBody, type MiddlewareEnv } from './middleware.ts';
import { headerOf } from './node-bindings.ts';

const BYTES = 'application/octet-stream';

/** The answering end of the channels of a node. */
export interface ChannelRoutesDesk {
  /** @param address of the peer; `undefined` on a Unix socket. */
  open(body: unknown, address: string | undefined): Promise<object>;
  /** @param session its id, lower-case hex. */
  message(session: string, bytes: Uint8Array): Promise<Uint8Array>;
}

/**
 * The routes of the channels between members of the ring. Each passes the body on and does nothing else.
 * @param desk throws ProblemError NODE_LOCKED while the store is closed, RING_OFF where there is no ring.
 */
export function ringRoutes(app: Hono<MiddlewareEnv>, desk: () => ChannelRoutesDesk): void {
  app.post('/ring/open', async (context) => {
    const ready = desk();
    return context.json(await ready.open(await jsonBody(context), context.get('peerAddress')));
  });
  app.post('/ring/message/:session', async (context) => {
    const ready = desk();
    const type = headerOf(context, 'content-type') ?? 'none';
    if (type !== BYTES)
      throw new EvidenceError('UNSUPPORTED_MEDIA_TYPE', `the body must be ${BYTES}`, {
        field: 'content-type',
        expected: BYTES,
        observed: type,
      });
    const bytes = await context.req.arrayBuffer().catch((cause: unknown) => {
      throw new EvidenceError('BODY_INCOMPLETE', 'the connection ended before the body was complete', {
        cause,
      });
    });
    const answer = await ready.message(context.req.param('session'), new Uint8Array(bytes));
    return context.body(new Uint8Array(answer), 200, { 'content-type': BYTES });
  });
}
