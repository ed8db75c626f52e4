import type { Hono } from 'hono';
import { z } from 'zod';
import type { MiddlewareEnv } from '../http/middleware.ts';

/** Answer of `/rollback/acceptance`: the head of which the loss is (or would be) accepted, and that of the store. */
export const rollbackAnswer = z.strictObject({
  incarnation: z
    .int()
    .meta({ description: 'number of the instance that wrote the newest head that a server remembers' }),
  sequence: z.int(),
  storeIncarnation: z
    .int()
    .meta({ description: 'number of the instance that wrote the store on this disk last' }),
  storeSequence: z.int(),
});

/** The part of a node that the routes use: a store that is older than what its key servers remember. */
export interface RollbackDesk {
  /** What would be accepted now. @throws RefusalError ROLLBACK_NOT_REFUSED. */
  refused(): z.output<typeof rollbackAnswer>;
  /** @throws RefusalError ROLLBACK_NOT_REFUSED. */
  accept(): z.output<typeof rollbackAnswer>;
}

/** Summaries of the routes of `/rollback/acceptance`, for OpenAPI. */
export const rollbackSummaries = {
  get: 'The store that is refused as an older one, and the newest head that its key servers remember',
  put: 'Goes on from the store that was refused as an older one, and loses what was written after it; for this refusal only',
} as const;

/** Puts `/rollback/acceptance` on an app. `desk` throws ProblemError NODE_LOCKED while the node is not examined yet. */
export function serveRollbackRoutes(app: Hono<MiddlewareEnv>, desk: () => RollbackDesk): void {
  app.get('/rollback/acceptance', ({ json }) => json(desk().refused()));
  app.put('/rollback/acceptance', ({ json }) => json(desk().accept()));
}
