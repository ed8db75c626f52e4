import type { Hono } from 'hono';
import type { z } from 'zod';
import { AccountId, InstanceId } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { type newsAnswer, parseWire } from '../protocol/decode.ts';
import { NEWS_NONCE_BYTES, type ServerNews } from '../protocol/not-enrolled.ts';
import { answerJsonBytes } from './answer-json.ts';
import { jsonBody, type MiddlewareEnv } from './middleware.ts';
import { serverDrainingBody, serverRestartedBody } from './node-bodies.ts';
import { openApiDocument } from './openapi.ts';

/** The facts about a node that other machines may read. */
export interface NodeFace {
  /** Answer of `GET /info`. */
  info(): Readonly<Record<string, unknown>>;
  /** The fleet manifests that this node knows; none for an asker that knows the newest one already. */
  fleet(known: string | undefined): object;
  /**
   * Whether it would give keys to a machine under a trust section, and of an image; both `0x` hex.
   * @throws EvidenceError FIELD_INVALID, ProblemError NODE_LOCKED.
   */
  accepts(asked: {
    readonly trustHash: string | undefined;
    readonly measurement: string | undefined;
  }): object;
  /** Whether the node is ready, and the answer of `GET /readyz`. */
  readiness(): { readonly ready: boolean; readonly report: Readonly<Record<string, unknown>> };
  /**
   * A server says that it restarted, or (with a nonce) that it drains: a hint to check its slot. Returns whether the
   * server holds a slot of this node, and if not, a signature that proves the answer to the server: without it the
   * network could make the server stop waiting for this node.
   * @param address of the peer; `undefined` on a Unix socket.
   */
  hear(
    news: ServerNews,
    address: string | undefined,
  ): { readonly enrolled: true } | { readonly enrolled: false; readonly signature: Uint8Array };
}

/** Routes about the state of a node. @param shown which optional routes the API description lists. */
export function nodeRoutes(
  app: Hono<MiddlewareEnv>,
  face: NodeFace,
  shown: { readonly entropy: boolean } = { entropy: false },
): void {
  app.get('/info', ({ json }) => json(face.info()));
  app.get('/fleet', (c) => answerJsonBytes(c, sharedBytes(face.fleet(c.req.query('known')))));
  app.get('/accepts', ({ json, req }) =>
    json(face.accepts({ trustHash: req.query('trustHash'), measurement: req.query('measurement') })),
  );
  app.get('/openapi.json', (c) => answerJsonBytes(c, sharedBytes(openApiDocument(shown))));
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
    return context.json(answerTo(face, news, context.get('peerAddress')));
  });
  app.post('/server-draining', async (context) => {
    const { server, nonce } = parseWire(serverDrainingBody, await jsonBody(context));
    const news = {
      server: AccountId.parse(server, 'server'),
      nonce: parsePrefixedHex(nonce, NEWS_NONCE_BYTES, 'nonce'),
    };
    return context.json(answerTo(face, news, context.get('peerAddress')));
  });
}

/** Written once for each answer: slow readers of 11 MB then share the memory, instead of filling it. */
function sharedBytes(answer: object): Uint8Array<ArrayBuffer> {
  const bytes = writtenAnswers.get(answer) ?? new TextEncoder().encode(JSON.stringify(answer));
  writtenAnswers.set(answer, bytes);
  return bytes;
}

const writtenAnswers = new WeakMap<object, Uint8Array<ArrayBuffer>>();

function answerTo(
  face: NodeFace,
  news: ServerNews,
  address: string | undefined,
): z.output<typeof newsAnswer> {
  const heard = face.hear(news, address);
  return heard.enrolled ? heard : { enrolled: false, signature: toPrefixedHex(heard.signature) };
}
