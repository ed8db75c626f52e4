import type { Hono } from 'hono';
import type { KeyServer } from '../keyserver/key-server.ts';
import { jsonBody, type MiddlewareEnv } from './middleware.ts';

/**
 * The routes of a key server. Each passes the body to the key server and does nothing else.
 * @param keyServer gives the key server, or throws ProblemError NODE_LOCKED while there is none.
 */
export function keyRoutes(app: Hono<MiddlewareEnv>, keyServer: () => KeyServer): void {
  app.post('/challenge', async (c) => c.json(keyServer().challenge(await jsonBody(c))));
  app.post('/request-encryption-key', async (c) =>
    c.json(await keyServer().requestKey(await jsonBody(c), c.get('requestId'))),
  );
  app.post('/key-status', async (c) => c.json(keyServer().keyStatus(await jsonBody(c))));
  app.post('/reserve', async (c) => c.json(keyServer().reserve(await jsonBody(c))));
  app.post('/claim', async (c) => c.json(keyServer().claim(await jsonBody(c))));
  app.post('/forget', async (c) => c.json(keyServer().forget(await jsonBody(c))));
  app.post('/lineage-status', async (c) => c.json(keyServer().lineageStatus(await jsonBody(c))));
  app.post('/lineage-update', async (c) => c.json(keyServer().lineageUpdate(await jsonBody(c))));
  app.get('/attestation', async (c) => c.json(await keyServer().attestation()));
}
