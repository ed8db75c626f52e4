import type { Hono } from 'hono';
import { z } from 'zod';
import { RefusalError } from '../errors/latchkey-error.ts';
import { manifestList } from '../fleet/manifest-file.ts';
import { jsonBody, type MiddlewareEnv } from '../http/middleware.ts';

/** Body of `PUT /manifests`: manifests in the order in which they are taken. */
export const fleetPublishBody = manifestList;

/** Answer of `PUT /manifests`. */
export const fleetPublishAnswer = z.strictObject({
  manifests: z.array(
    z.strictObject({
      outcome: z.enum(['taken', 'known', 'refused']),
      code: z.string().optional().meta({ description: 'why it was refused' }),
      detail: z.string().optional(),
      hint: z.string().optional(),
    }),
  ),
  serial: z.int().optional().meta({ description: 'of the newest manifest that the node has now' }),
});

/** The part of a node that the route uses. */
export interface FleetDesk {
  /** @throws EvidenceError FLEET_FILE_MALFORMED. */
  publish(json: unknown): Promise<z.output<typeof fleetPublishAnswer>>;
}

/** Summary of `PUT /manifests`, for OpenAPI. */
export const fleetPublishSummary =
  'Takes signed fleet manifests; peers fetch them from this node. Works while the store is locked';

/** Puts `/manifests` on an app. `desk` gives `undefined` where the trust section names no authority. */
export function serveFleetRoutes(app: Hono<MiddlewareEnv>, desk: () => FleetDesk | undefined): void {
  app.put('/manifests', async (context) => {
    const fleet = desk();
    if (fleet === undefined)
      throw new RefusalError('FLEET_OFF', 'this node takes no fleet manifest', {
        field: 'trust.authority',
        hint: 'a trust section that names an authority does; `latchkey fleet keygen` prints one',
      });
    return context.json(await fleet.publish(await jsonBody(context)));
  });
}
