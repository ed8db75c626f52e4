import type { Hono } from 'hono';
import { problemOf } from '../errors/problem.ts';
import type { RefuseEarly } from '../inbound/early-refusal.ts';
import { serverBusy } from '../keyserver/admission-queue.ts';
import type { KeyServer } from '../keyserver/key-server.ts';
import { answerJson } from './answer-json.ts';
import { jsonBody, type MiddlewareEnv } from './middleware.ts';

/**
 * The routes of a key server. Each passes the body to the key server and does nothing else.
 * @param keyServer gives the key server, or throws ProblemError NODE_LOCKED while there is none.
 */
export function keyRoutes(app: Hono<MiddlewareEnv>, keyServer: () => KeyServer): void {
  app.post('/challenge', async (c) => answerJson(c, keyServer().challenge(await jsonBody(c))));
  app.post('/request-encryption-key', async (c) =>
    answerJson(c, await keyServer().requestKey(await jsonBody(c), c.get('requestId'))),
  );
  app.post('/key-status', async (c) => answerJson(c, keyServer().keyStatus(await jsonBody(c))));
  app.post('/reserve', async (c) => answerJson(c, keyServer().reserve(await jsonBody(c))));
  app.post('/claim', async (c) => answerJson(c, keyServer().claim(await jsonBody(c))));
  app.post('/forget', async (c) => answerJson(c, keyServer().forget(await jsonBody(c))));
  app.post('/lineage-status', async (c) => answerJson(c, keyServer().lineageStatus(await jsonBody(c))));
  app.post('/lineage-update', async (c) => answerJson(c, keyServer().lineageUpdate(await jsonBody(c))));
  app.get('/attestation', async (c) => answerJson(c, await keyServer().attestation()));
}

/** The field of RFC 9218, as a client that cannot open its store sends it. A client that lies by it gets a place and no key. */
const MOST_URGENT = /(?:^|,)\s*u=0\s*(?:,|$)/;

/** The problem of each refusal, made once: an error and its text cost as much as the rest of an answer. */
const busy = problemOf(serverBusy(0), '');

/**
 * Refuses requests for keys while more are waiting than can be verified in time.
 * @param keyServer `undefined` while there is none.
 */
export function refuseWhenBusy(
  keyServer: () => Pick<KeyServer, 'refuseEarly'> | undefined,
  nextId: () => string,
): RefuseEarly {
  return ({ method, url, headers }) => {
    if (method !== 'POST' || url !== '/request-encryption-key') return undefined;
    const requestId = nextId();
    const { priority } = headers;
    const isLocked = typeof priority === 'string' && MOST_URGENT.test(priority);
    const retryAfterMs = keyServer()?.refuseEarly(isLocked, requestId);
    return retryAfterMs === undefined ? undefined : { ...busy, instance: requestId, retryAfterMs };
  };
}
