import type { Hono } from 'hono';
import type { z } from 'zod';
import { AccountId, InstanceId } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { NEWS_NONCE_BYTES, type ServerNews } from '../protocol/not-enrolled.ts';
import { type newsAnswer, parseWire } from '../protocol/decode.ts';
import { serverDrainingBody, serverRestartedBody } from './node-bodies.ts';
import { openApiDocument } from './openapi.ts';
import { jsonBody, type MiddlewareEnv } from './middleware.ts';

/** What the outside may learn of a node. */
export interface NodeFace {
  /** Answer of `GET /info`. */
  info(): Readonly<Record<string, unknown>>;
  /** Whether the node is ready, and the answer of `GET /readyz`. */
  readiness(): { readonly ready: boolean; readonly report: Readonly<Record<string, unknown>> };
  /**
   * A server says that its memory is gone, or that it drains (with a nonce): a hint, worth a look. Returns whether it
   * holds a slot of ours, and if not, a signature that proves it to the server: else the network could end its wait
   * for us.
   */
  hear(
    news: ServerNews,
  ): { readonly enrolled: true } | { readonly enrolled: false; readonly signature: Uint8Array };
}

/** Routes that say how a node is. */
export function nodeRoutes(app: Hono<MiddlewareEnv>, face: NodeFace): void {
  app.get('/info', ({ json }) => json(face.info()));
  app.get('/openapi.json', ({ json }) => json(openApiDocument()));
  app.get('/healthz', ({ json }) => json({ ok: true }));
  app.get('/readyz', ({ json }) => {
    const { ready, report } = face.readiness();
    return json({ ready, ...report }, ready ? 200 : 503);
  });
  app.post('/server-restarted', async (context) => {
    const { server, instanceId } = parseWire(serverRestartedBody, await jsonBody(context));
    const news = {
      server: AccountId.parse(server, 'server'),
      instanceId: InstanceId.parse(instanceId, 'instanceId'),
    };
    return context.json(answerTo(face, news));
  });
  app.post('/server-draining', async (context) => {
    const { server, nonce } = parseWire(serverDrainingBody, await jsonBody(context));
    const news = {
      server: AccountId.parse(server, 'server'),
      nonce: parsePrefixedHex(nonce, NEWS_NONCE_BYTES, 'nonce'),
    };
    return context.json(answerTo(face, news));
  });
}

function answerTo(face: NodeFace, news: ServerNews): z.output<typeof newsAnswer> {
  const heard = face.hear(news);
  return heard.enrolled ? heard : { enrolled: false, signature: toPrefixedHex(heard.signature) };
}
