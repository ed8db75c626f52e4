import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { LatchkeyError, ProblemError } from '../../../../src/errors/latchkey-error.ts';
import type { MiddlewareEnv } from '../../../../src/http/middleware.ts';
import { ringRoutes } from '../../../../src/http/ring-routes.ts';
import { secretRoutes } from '../../../../src/http/secret-routes.ts';
import type { NodeParts } from '../../../../src/node/parts.ts';
import { RingPart } from '../../../../src/node/ring/ring-part.ts';
import type { DeskConfig } from '../../../../src/node/ring/secret-desk.ts';

/** What routes answer before the node is in a ring; only the section that is asked for is there. */
async function codeOf(trust: object, path: string): Promise<string> {
  const part = new RingPart({ trust } as unknown as DeskConfig, {} as NodeParts);
  const locked = () => new ProblemError('NODE_LOCKED', 'the store is closed');
  const app = new Hono<MiddlewareEnv>();
  app.onError((error, context) => context.text(error instanceof LatchkeyError ? error.code : String(error)));
  secretRoutes(app, () => part.requireSecrets(locked));
  ringRoutes(app, () => {
    part.requireMembership(locked);
    return expect.fail('there is no membership');
  });
  return (await app.request(path, { method: 'POST' })).text();
}

const secretPaths = ['deploy', 'update', 'delete', 'request', 'list'].map((name) => `/secrets/${name}`);

describe('the routes of the ring', () => {
  it.each([...secretPaths, '/ring/open', '/ring/message/00'])(
    '%s is off without a ring, and locked before it',
    async (path) => {
      expect(await codeOf({}, path)).toBe('RING_OFF');
      expect(await codeOf({ ring: {} }, path)).toBe('NODE_LOCKED');
    },
  );
});
