import { Hono } from 'hono';
import { expect, it } from 'vitest';
import { serveFleetRoutes } from '../../../src/agent/fleet-routes.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { problemOf } from '../../../src/errors/problem.ts';
import type { MiddlewareEnv } from '../../../src/http/middleware.ts';

it('a node without an authority refuses fleet manifests, and that is no failure of the node', async () => {
  const app = new Hono<MiddlewareEnv>();
  let thrown: unknown;
  app.onError((error, context) => {
    thrown = error;
    return context.body(null);
  });
  serveFleetRoutes(app, () => undefined);
  const headers = { 'content-type': 'application/json' };
  await app.request('/manifests', { method: 'PUT', headers, body: '{"manifests":[]}' });
  expect(thrown).toBeInstanceOf(LatchkeyError);
  expect(problemOf(thrown, '1')).toMatchObject({ code: 'FLEET_OFF', status: 404 });
});
