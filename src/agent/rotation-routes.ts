import type { Hono } from 'hono';
import { z } from 'zod';
import type { MiddlewareEnv } from '../http/middleware.ts';

/** Answer of every route of `/rotation`. */
export const rotationAnswer = z.strictObject({
  state: z.enum(['never', 'running', 'done', 'failed']),
  generation: z.int().optional().meta({ description: 'of the slots under the new store key, when done' }),
  code: z.string().optional().meta({ description: 'why it failed' }),
  detail: z.string().optional(),
});

/** The part of a node that the routes use: the last change of its store key since its start. */
export interface RotationDesk {
  /** Starts a rotation; when one is running, that one continues. */
  start(): void;
  standing(): z.output<typeof rotationAnswer>;
}

/** Summaries of the routes of `/rotation`, for OpenAPI. */
export const rotationSummaries = {
  get: 'How the last change of the store key went since this process started',
  put: 'Changes the store key, with a new generation of slots at the key servers; ask again with GET until it is done',
} as const;

/** Puts `/rotation` on an app. `desk` throws ProblemError NODE_LOCKED while the store is closed. */
export function serveRotationRoutes(app: Hono<MiddlewareEnv>, desk: () => RotationDesk): void {
  app.get('/rotation', ({ json }) => json(desk().standing()));
  app.put('/rotation', ({ json }) => {
    desk().start();
    return json(desk().standing());
  });
}
