import type { Hono } from 'hono';
import type { EntropyServer } from '../entropy/entropy-server.ts';
import { jsonBody, type MiddlewareEnv } from './middleware.ts';

/**
 * The routes of entropy-tss, with its JSON. Each passes the body to the server and does nothing else.
 * @param server gives the server, or throws ProblemError NODE_LOCKED while there is none.
 */
export function entropyRoutes(app: Hono<MiddlewareEnv>, server: () => EntropyServer): void {
  app.post('/v1/backup_encryption_key', async (c) => {
    await server().backup(await jsonBody(c), c.get('requestId'));
    return c.body(null, 200);
  });
  app.post('/v1/backup_provider_quote_nonce', async (c) => c.json(server().quoteNonce(await jsonBody(c))));
  app.post('/v1/recover_encryption_key', async (c) =>
    c.json(await server().recover(await jsonBody(c), c.get('requestId'))),
  );
  app.get('/v1/attest', async (c) =>
    c.body(new Uint8Array(await server().attest(c.req.query())), 200, {
      'content-type': 'application/octet-stream',
    }),
  );
  app.get('/v1/info', async (c) => c.json(await server().info()));
  app.get('/v1/version', (c) => c.json(server().version()));
}
