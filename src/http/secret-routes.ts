import type { Hono } from 'hono';
import type { SecretService } from '../secrets/service/secret-service.ts';
import { jsonBody, type MiddlewareEnv } from './middleware.ts';

/** Largest body of a route for users' secrets: a relayed request with the largest body, sealed, in base64. */
export const MAX_SECRET_BODY_BYTES = 320 * 1024;

/**
 * The routes for users' secrets. Each passes the body to the service and does nothing else.
 * @param service gives the service, or throws ProblemError NODE_LOCKED while the store is closed, and RefusalError
 *   RING_OFF where there is no ring.
 */
export function secretRoutes(app: Hono<MiddlewareEnv>, service: () => SecretService): void {
  for (const route of ['deploy', 'update', 'delete', 'request', 'list'] as const) {
    app.post(`/secrets/${route}`, async (context) =>
      context.json(await service().answer(route, await jsonBody(context), context.get('requestId'))),
    );
  }
}
