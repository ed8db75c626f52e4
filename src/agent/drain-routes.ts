import type { Hono } from 'hono';
import { z } from 'zod';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { MiddlewareEnv } from '../http/middleware.ts';

/** Clients that an answer lists; the count is of all. */
const MAX_LISTED = 100;

const client = z.strictObject({
  accountId: z.string().meta({ description: 'SS58 with prefix 42' }),
  endpoint: z.string().optional().meta({ description: 'its address on the chain' }),
  keys: z.int().min(1),
  atRisk: z.boolean().meta({ description: 'its store would fall below its threshold without this server' }),
  standing: z.string().meta({ description: '`told`, or why it could not be' }),
  canMove: z.boolean().meta({ description: 'false: plain keys only, or no record on the chain' }),
});

const ring = z.strictObject({
  standing: z.string().meta({ description: 'what the node does for the ring now' }),
  records: z.int().meta({ description: 'records of the ring that the node holds' }),
  handedOver: z
    .boolean()
    .meta({ description: 'whether the members that stay have all of them, or the node is no member' }),
  problem: z.string().optional(),
});

/** Answer of every route of `/drain`. */
export const drainAnswer = z.strictObject({
  draining: z.boolean(),
  sinceMs: z.int().optional(),
  remaining: z
    .int()
    .meta({ description: 'clients that still hold a slot here that they need, and can move' }),
  unmovable: z.int().meta({ description: 'accounts with a key here that no drain moves' }),
  moved: z.int().meta({ description: 'clients that held one since the drain began, and do not any more' }),
  clients: z
    .array(client)
    .meta({ description: `who remains; the first ${MAX_LISTED}, those at risk before others` }),
  ring: ring.optional().meta({ description: 'where the node takes part in a ring' }),
});

/** The part of a node that the routes use; the node's drain implements it. */
export interface DrainDesk {
  start(): void;
  cancel(): void;
  /** Where the node takes part in a ring. */
  readonly ring?: z.output<typeof ring>;
  /** `progress` is undefined while the server does not drain. */
  standing(): {
    readonly progress: { readonly sinceMs: number; readonly moved: number } | undefined;
    readonly remaining: readonly {
      readonly account: AccountId;
      readonly endpoint: string | undefined;
      readonly keys: number;
      readonly isAtRisk: boolean;
      readonly standing: string;
      readonly canMove: boolean;
    }[];
  };
}

/** The state of a drain for JSON; the remaining clients are counted also when there is no drain. */
export function drainToJson(desk: DrainDesk): z.output<typeof drainAnswer> {
  const { progress, remaining } = desk.standing();
  const clients = [...remaining].sort((a, b) => Number(b.isAtRisk) - Number(a.isAtRisk));
  return {
    draining: progress !== undefined,
    ...(progress === undefined ? {} : { sinceMs: progress.sinceMs }),
    remaining: clients.filter(({ canMove }) => canMove).length,
    unmovable: clients.filter(({ canMove }) => !canMove).length,
    moved: progress?.moved ?? 0,
    clients: clients.slice(0, MAX_LISTED).map(({ account, endpoint, isAtRisk, ...rest }) => ({
      accountId: encodeSs58(account),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...rest,
      atRisk: isAtRisk,
    })),
    ...(desk.ring === undefined ? {} : { ring: desk.ring }),
  };
}

/** Summaries of the routes of `/drain`, for OpenAPI. */
export const drainSummaries = {
  get: 'How far a drain is, and who still needs this server',
  put: 'Drains this server before a planned stop: no new keys, and its clients move to others. Again: changes nothing',
  delete: 'Ends a drain',
} as const;

/** Puts `/drain` on an app. `desk` throws ProblemError NODE_LOCKED while the node does not serve. */
export function serveDrainRoutes(app: Hono<MiddlewareEnv>, desk: () => DrainDesk): void {
  app.get('/drain', ({ json }) => json(drainToJson(desk())));
  app.put('/drain', ({ json }) => {
    desk().start();
    return json(drainToJson(desk()));
  });
  app.delete('/drain', ({ json }) => {
    desk().cancel();
    return json(drainToJson(desk()));
  });
}
