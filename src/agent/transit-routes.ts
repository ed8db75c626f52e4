import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { toBase64 } from '../bytes/base64.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { MiddlewareEnv } from '../http/middleware.ts';
import { transitKeyName } from '../transit/transit-keys.ts';
import { base64Bytes, base64Text } from './agent-fields.ts';
import { type AgentRoute, agentRoute } from './agent-route.ts';

/** Largest plaintext, in bytes: the largest value of Vault's integrated storage unless its `max_entry_size` is set. */
const MAX_PLAINTEXT_BYTES = 1024 * 1024;
/** Largest associated data, in bytes. */
const MAX_ASSOCIATED_BYTES = 64 * 1024;
/** Longest ciphertext: base64 of the largest plaintext, 40 bytes more, and its prefix. */
const MAX_CIPHERTEXT_CHARACTERS = Math.ceil((MAX_PLAINTEXT_BYTES + 40) / 3) * 4 + 'vault:v999999:'.length;

const NO_BYTES = new Uint8Array(0);

const bytesUpTo = (most: number) =>
  base64Bytes.refine((bytes) => bytes.length <= most, `must be at most ${most} bytes`);

const ofKey = z.strictObject({
  key: z
    .string()
    .regex(transitKeyName, 'must be 1 to 64 of A-Z a-z 0-9 _ . -, without . or - at its ends')
    .meta({ description: 'name of the key: 1 to 64 of A-Z a-z 0-9 _ . -' }),
});
const associatedData = bytesUpTo(MAX_ASSOCIATED_BYTES)
  .optional()
  .meta({ description: 'base64; authenticated, not encrypted' });
const ciphertext = z
  .string()
  .max(MAX_CIPHERTEXT_CHARACTERS)
  .meta({ description: '`vault:v`, the version, `:` and base64' });

const onlyWith = 'only with `agent.transit: true`';

const encryptBy = (method: 'put' | 'post'): AgentRoute =>
  agentRoute({
    method,
    path: '/v1/transit/encrypt/{key}',
    summary: `Encrypts with the newest version of a key; the first use makes the key; ${onlyWith}`,
    parameters: ofKey,
    body: z.strictObject({
      plaintext: bytesUpTo(MAX_PLAINTEXT_BYTES).transform((bytes) => SecretBytes.adopt(bytes)),
      associated_data: associatedData,
    }),
    bodyNeedsNoType: true,
    answer: z.strictObject({ data: z.strictObject({ ciphertext: z.string(), key_version: z.int() }) }),
    codes: ['ROUTE_NOT_FOUND', 'TRANSIT_KEYS_FULL', 'NODE_UNCLAIMED', 'STORE_RECORD_DAMAGED'],
    handle: async ({ path, body, services }) => {
      const made = await services.transit.encrypt(
        path.key,
        body.plaintext.reveal(),
        body.associated_data ?? NO_BYTES,
      );
      return { json: { data: { ciphertext: made.ciphertext, key_version: made.version } } };
    },
  });

const decryptBy = (method: 'put' | 'post'): AgentRoute =>
  agentRoute({
    method,
    path: '/v1/transit/decrypt/{key}',
    summary: `Decrypts what this store encrypted under this name; ${onlyWith}`,
    parameters: ofKey,
    body: z.strictObject({ ciphertext, associated_data: associatedData }),
    bodyNeedsNoType: true,
    answer: z.strictObject({ data: z.strictObject({ plaintext: base64Text }) }),
    codes: ['ROUTE_NOT_FOUND', 'TRANSIT_CIPHERTEXT_INVALID', 'STORE_RECORD_DAMAGED'],
    handle: async ({ path, body, services }) => {
      const plaintext = await services.transit.decrypt(
        path.key,
        body.ciphertext,
        body.associated_data ?? NO_BYTES,
      );
      const answer = { data: { plaintext: toBase64(plaintext) } };
      plaintext.fill(0);
      return { json: answer };
    },
  });

const rotateBy = (method: 'put' | 'post'): AgentRoute =>
  agentRoute({
    method,
    path: '/v1/transit/keys/{key}/rotate',
    summary: `Adds a version to a key; older ciphertexts still open; ${onlyWith}`,
    parameters: ofKey,
    answer: z.strictObject({ data: z.strictObject({ name: z.string(), latest_version: z.int() }) }),
    codes: ['ROUTE_NOT_FOUND', 'TRANSIT_KEY_NOT_FOUND', 'TRANSIT_KEYS_FULL', 'NODE_UNCLAIMED'],
    handle: async ({ path, services }) => ({
      json: { data: { name: path.key, latest_version: await services.transit.rotate(path.key) } },
    }),
  });

/** What `seal "transit"` of Vault and OpenBao calls, which send PUT; POST is what their documentation shows. */
export const transitRoutes: readonly AgentRoute[] = (['put', 'post'] as const).flatMap((method) => [
  ...[encryptBy(method), decryptBy(method), rotateBy(method)],
]);

/**
 * Puts on an app what all its routes below `/v1/` share: the member `errors` of each refusal, which is the only one that
 * the clients of Vault and OpenBao show. To be called before the routes are put on the app.
 */
export function serveLikeTransit(app: Hono<MiddlewareEnv>): void {
  app.use('/v1/*', async function withErrors(context, next) {
    await next();
    await addErrors(context);
  });
  app.use('/v1/*', async function withoutNamespace(context, next) {
    requireNoNamespace(context);
    await next();
  });
}

/** An operator who sets a namespace relies on a separation that does not exist here. */
function requireNoNamespace(context: Context): void {
  const namespace = context.req.header('x-vault-namespace');
  if (namespace === undefined || namespace === '') return;
  throw new EvidenceError('FIELD_INVALID', 'there are no namespaces here', {
    field: 'x-vault-namespace',
    expected: 'no such header',
    observed: namespace.slice(0, 80),
    hint: 'remove `namespace` from the seal, and VAULT_NAMESPACE from the environment',
  });
}

async function addErrors(context: Context): Promise<void> {
  if (context.res.headers.get('content-type') !== 'application/problem+json') return;
  // A problem is a JSON object: answerProblem made it.
  const problem = (await context.res.json()) as Readonly<Record<string, unknown>>;
  const { code, detail, hint } = problem;
  const shown = `${String(code)}: ${String(detail)}${hint === undefined ? '' : `; ${String(hint)}`}`;
  const { status, headers } = context.res;
  context.res = new Response(JSON.stringify({ ...problem, errors: [shown] }), { status, headers });
}
