import type { Hono } from 'hono';
import { z } from 'zod';
import type { LatchkeyError } from '../errors/latchkey-error.ts';
import { jsonBody, type MiddlewareEnv } from '../http/middleware.ts';
import { parseWire } from '../protocol/decode.ts';
import { MAX_CUSTODIANS } from '../trust/custody-set.ts';

/** Body of `PUT /custody/request`. */
export const custodyRequestBody = z.strictObject({
  generation: z.int().min(1).optional().meta({ description: 'default: the newest that has parts' }),
});

/** Answer of `PUT /custody/request`. */
export const custodyRequestAnswer = z.strictObject({
  request: z.string().meta({ description: 'the text block for the custodians' }),
});

/** Body of `PUT /custody/answers`. */
export const custodyAnswersBody = z.strictObject({
  answers: z.array(z.string().max(64 * 1024)).max(MAX_CUSTODIANS),
  force: z.boolean().default(false),
});

/** Answer of `PUT /custody/answers`. */
export const custodyAnswersAnswer = z.strictObject({
  answered: z.array(z.string()).meta({ description: 'custodians whose parts are here' }),
  threshold: z.int(),
  refused: z.array(z.strictObject({ code: z.string(), detail: z.string() })),
  opens: z.boolean().meta({ description: 'the store key is there, and the node opens its store next' }),
});

/** The part of a locked node that the routes use. */
export interface CustodyRoutesDesk {
  request(generation?: number): Promise<string>;
  open(
    answers: readonly string[],
    isForced: boolean,
  ): Promise<{
    readonly answered: readonly string[];
    readonly threshold: number;
    readonly refused: readonly LatchkeyError[];
    readonly opens: boolean;
  }>;
}

/** Summaries of the routes of `/custody`, for OpenAPI. */
export const custodySummaries = {
  request:
    'Makes a request of a locked node to its custodians; the one before is void, and a restart voids it',
  answers: 'Takes answers of custodians; with enough of them the node opens its store',
} as const;

/** Puts `/custody` on an app. `desk` throws ProblemError NODE_LOCKED while the node is not examined yet. */
export function serveCustodyRoutes(app: Hono<MiddlewareEnv>, desk: () => CustodyRoutesDesk): void {
  app.put('/custody/request', async (context) => {
    const { generation } = parseWire(custodyRequestBody, await jsonBody(context));
    return context.json({ request: await desk().request(generation) });
  });
  app.put('/custody/answers', async (context) => {
    const { answers, force } = parseWire(custodyAnswersBody, await jsonBody(context));
    const { refused, ...progress } = await desk().open(answers, force);
    return context.json({
      ...progress,
      refused: refused.map(({ code, message: detail }) => ({ code, detail })),
    });
  });
}
