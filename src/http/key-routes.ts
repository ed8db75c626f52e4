import type { Hono } from 'hono';
import type { KeyServer } from '../keyserver/key-server.ts';
import { jsonBody, type PorchEnv } from './porch.ts';

/**
 * The routes of a key server. Each hands the body to the rooms behind and does nothing else.
 * @param keyServer gives the key server, or throws ProblemError NODE_LOCKED while there is none.
 */
export function keyRoutes(app: Hono<PorchEnv>, keyServer: () => KeyServer): void {
  app.post('/challenge', async ({ req, json }) => json(keyServer().challenge(await jsonBody(req))));
  app.post('/request-encryption-key', async ({ req, json, get }) =>
    json(await keyServer().requestKey(await jsonBody(req), get('requestId'))),
  );
  app.post('/key-status', async ({ req, json }) => json(keyServer().keyStatus(await jsonBody(req))));
  app.post('/claim', async ({ req, json }) => json(keyServer().claim(await jsonBody(req))));
  app.post('/forget', async ({ req, json }) => json(keyServer().forget(await jsonBody(req))));
  app.get('/attestation', async ({ json }) => json(await keyServer().attestation()));
}
