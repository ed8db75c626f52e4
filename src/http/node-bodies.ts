import { z } from 'zod';
import { accountText, hexText } from '../protocol/decode.ts';
import { NEWS_NONCE_BYTES } from '../protocol/not-enrolled.ts';

/** Body of `POST /server-restarted`. */
export const serverRestartedBody = z.strictObject({ server: accountText, instanceId: hexText(16) });

/** Body of `POST /server-draining`. */
export const serverDrainingBody = z.strictObject({
  server: accountText,
  nonce: hexText(NEWS_NONCE_BYTES),
});

/** Answer of `GET /info`; accounts and keys only once the node's store is open. */
export const infoAnswer = z.looseObject({
  name: z.literal('latchkey'),
  protocol: z.int(),
  mode: z.string().meta({ description: '`production`, or that the trust root is injected' }),
  state: z.string(),
  accountId: accountText.optional(),
  x25519PublicKey: hexText(32).optional(),
  instanceId: hexText(16).optional(),
  draining: z.literal(true).optional().meta({ description: 'it makes no new keys; it is to be stopped' }),
});

/** Answer of `GET /readyz`, with the reasons. */
export const readyzAnswer = z.looseObject({ ready: z.boolean(), state: z.string().optional() });

const verdict = z.strictObject({
  accepted: z.boolean(),
  code: z.string().optional().meta({ description: 'why not' }),
  detail: z.string().optional(),
  from: z.string().optional().meta({ description: 'when the fleet manifest will allow it' }),
});

/** Answer of `GET /accepts`: a verdict on each of what was asked. */
export const acceptsAnswer = z.strictObject({
  trustHash: verdict.optional(),
  measurement: verdict.optional(),
});

/** Answer of routes without a result. */
export const okAnswer = z.strictObject({ ok: z.literal(true) });

/** Every error (RFC 9457). */
export const problemAnswer = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string().meta({ description: 'stable; docs/errors.md lists all' }),
  detail: z.string(),
  instance: z.string().meta({ description: 'the request id' }),
  field: z.string().optional(),
  expected: z.string().optional(),
  observed: z.string().optional(),
  hint: z.string().optional(),
  retryAfterMs: z.int().optional(),
});
