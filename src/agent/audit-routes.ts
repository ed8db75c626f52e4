import type { Hono } from 'hono';
import { z } from 'zod';
import type { MiddlewareEnv } from '../http/middleware.ts';

/** Answer of `GET /audit/heads`. */
export const auditHeadsAnswer = z.strictObject({
  heads: z.array(
    z.strictObject({
      server: z.string().meta({ description: 'SS58 with prefix 42' }),
      sequence: z.int(),
      hash: z.string().meta({ description: '0x and 64 hex digits' }),
      seenAtMs: z.int().meta({ description: 'by the clock of this node' }),
    }),
  ),
});

/** The part of a node that the routes use. */
export interface AuditDesk {
  /** Lines of an export, each with its newline. */
  export(): AsyncGenerator<Uint8Array>;
  /** Heads of the logs of this node's servers. */
  heads(): z.output<typeof auditHeadsAnswer>['heads'];
}

/** Summary of `GET /audit`, for OpenAPI. */
export const auditSummary =
  'The audit log as lines of JSON: what it belongs to, one entry a line, and the head signed by the account of the node';

/** Summary of `GET /audit/heads`, for OpenAPI. */
export const auditHeadsSummary =
  'Heads of the audit logs of the servers of this node, to verify exports of these servers';

/** Puts `/audit` on an app. `desk` throws ProblemError NODE_LOCKED while the node does not serve. */
export function serveAuditRoutes(app: Hono<MiddlewareEnv>, desk: () => AuditDesk): void {
  app.get('/audit/heads', ({ json }) => json({ heads: [...desk().heads()] }));
  app.get('/audit', (context) => {
    const lines = desk().export();
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { value, done } = await lines.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await lines.return(undefined);
      },
    });
    return context.body(stream, 200, { 'content-type': 'application/x-ndjson' });
  });
}
