import type { Hono } from 'hono';
import type { MiddlewareEnv } from '../http/middleware.ts';

/** The part of a node that the route uses. */
export interface AuditDesk {
  /** Lines of an export, each with its newline. */
  export(): AsyncGenerator<Uint8Array>;
}

/** Summary of `GET /audit`, for OpenAPI. */
export const auditSummary =
  'The audit log as lines of JSON: what it belongs to, one entry a line, and the head signed by the account of the node';

/** Puts `/audit` on an app. `desk` throws ProblemError NODE_LOCKED while the node does not serve. */
export function serveAuditRoutes(app: Hono<MiddlewareEnv>, desk: () => AuditDesk): void {
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
