import type { Hono } from 'hono';
import { agentOpenApi } from '../agent/agent-openapi.ts';
import { serveAgentRoutes } from '../agent/agent-route.ts';
import { agentRoutes } from '../agent/agent-routes.ts';
import { servicesOf } from '../agent/agent-services.ts';
import { type AuditDesk, serveAuditRoutes } from '../agent/audit-routes.ts';
import { type CustodyRoutesDesk, serveCustodyRoutes } from '../agent/custody-routes.ts';
import { type DrainDesk, serveDrainRoutes } from '../agent/drain-routes.ts';
import { type FleetDesk, serveFleetRoutes } from '../agent/fleet-routes.ts';
import { type RollbackDesk, serveRollbackRoutes } from '../agent/rollback-routes.ts';
import { type RotationDesk, serveRotationRoutes } from '../agent/rotation-routes.ts';
import { serveLikeTransit, transitRoutes } from '../agent/transit-routes.ts';
import { refuseDotSegments } from '../http/dot-segments.ts';
import { appWithMiddleware, type MiddlewareEnv, type MiddlewareOptions } from '../http/middleware.ts';
import type { ConditionsGuardOptions } from '../rituals/conditions.ts';
import type { Store } from '../store/api/store-api.ts';

/** Largest body on the local socket: a value of 16 MiB in base64. */
const MAX_BODY_BYTES = 24 * 1024 * 1024;

/**
 * The agent: what a program of this machine, in any language, needs of the store. Only who may open the socket (0600)
 * reaches it.
 * @param node `store`, `drain` and `rotation` throw ProblemError NODE_LOCKED, with the state as the reason, while the store is
 *   closed.
 */
export function agentApp(
  common: Omit<MiddlewareOptions, 'maxBodyBytes' | 'peerAddress' | 'rate'>,
  node: {
    readonly store: () => Store;
    readonly drain: () => DrainDesk;
    readonly rotation: () => RotationDesk;
    readonly custody: () => CustodyRoutesDesk;
    readonly rollback: () => RollbackDesk;
    readonly audit: () => AuditDesk;
    readonly fleet: () => FleetDesk | undefined;
    readonly status: () => Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>>;
    readonly rituals?: ConditionsGuardOptions;
    /** Whether `seal "transit"` of Vault and OpenBao is answered. */
    readonly transit: boolean;
  },
): Hono<MiddlewareEnv> {
  const app = appWithMiddleware({ ...common, maxBodyBytes: MAX_BODY_BYTES, peerAddress: () => undefined });
  app.use(refuseDotSegments);
  app.get('/status', async ({ json }) => json(await node.status()));
  app.get('/openapi.json', ({ json }) => json(agentOpenApi()));
  serveDrainRoutes(app, node.drain);
  serveRotationRoutes(app, node.rotation);
  serveCustodyRoutes(app, node.custody);
  serveRollbackRoutes(app, node.rollback);
  serveAuditRoutes(app, node.audit);
  serveFleetRoutes(app, node.fleet);
  const services = servicesOf(node.store, common.now, common.random, node.rituals);
  serveAgentRoutes(app, agentRoutes, services);
  if (node.transit) {
    serveLikeTransit(app);
    serveAgentRoutes(app, transitRoutes, services);
  }
  return app;
}
