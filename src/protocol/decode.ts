import { z } from 'zod';
import { parseBase64 } from '../bytes/base64.ts';
import { AccountId, Mac, Nonce, SlotId, X25519PublicKey } from '../bytes/fixed-bytes.ts';
import { hasSmallOrder } from '../crypto/x25519.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { type AddressedServer, type Intent, MAX_ADDRESSED_SERVERS, PLAIN_SLOT_ID } from './report-data.ts';

/** Text of a fixed-size value. The pattern is for the documentation; the constructors of the branded types check it. */
export const hexText = (bytes: number) =>
  z
    .string()
    .meta({ description: `${bytes} bytes, 0x and hex digits`, pattern: `^0x[0-9a-fA-F]{${bytes * 2}}$` });
/** Text of an account. */
export const accountText = z.string().meta({ description: 'SS58 with prefix 42, or 0x and 64 hex digits' });
const base64Text = (what: string) => z.string().meta({ description: what, contentEncoding: 'base64' });

const MAX_REASON_CHARACTERS = 200;

/** Body of `POST /challenge`. */
export const challengeBody = z.strictObject({
  accountId: accountText,
  ephemeralPublicKey: hexText(32),
});

/** Body of `POST /request-encryption-key`. */
export const keyRequestBody = z.strictObject({
  accountId: accountText,
  ephemeralPublicKey: hexText(32),
  intent: z.enum(['get-or-create', 'create', 'recover']).default('get-or-create'),
  servers: z
    .array(z.strictObject({ server: accountText, nonce: hexText(32), slotId: hexText(16).optional() }))
    .min(1)
    .max(MAX_ADDRESSED_SERVERS),
  recoveryProof: hexText(32).optional(),
  quote: base64Text('TDX quote, version 4 or 5'),
});

/** Answer of `POST /challenge`. */
export const challengeAnswer = z.strictObject({
  server: accountText,
  nonce: hexText(32),
  expiresAtMs: z.int().nonnegative(),
  instanceId: hexText(16),
});

/** Answer of `POST /request-encryption-key`. */
export const keyAnswer = z.strictObject({
  server: accountText,
  instanceId: hexText(16),
  enc: hexText(32),
  ciphertext: base64Text('HPKE ciphertext and tag'),
});

/** Answer of `GET /attestation`. */
export const attestationAnswer = z.strictObject({
  server: accountText,
  x25519PublicKey: hexText(32),
  instanceId: hexText(16),
  finalized: z.strictObject({ number: z.int().nonnegative(), hash: hexText(32) }),
  quote: base64Text('TDX quote, version 4 or 5'),
});

/** Answer of `POST /server-restarted` and of `POST /server-draining`. */
export const newsAnswer = z.strictObject({
  enrolled: z.boolean().meta({ description: 'whether the asking server holds a slot of this node' }),
  signature: hexText(64)
    .optional()
    .meta({ description: 'with `false`: sr25519, by the account of this node, over the statement' }),
});

/**
 * Checks JSON against a schema.
 * @throws EvidenceError FIELD_INVALID naming the first field that is wrong and what was expected.
 */
export function parseWire<T extends z.ZodType>(schema: T, value: unknown, whole = 'body'): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.map(String).join('.') ?? '';
  const unknown = issue?.code === 'unrecognized_keys' ? `unknown field ${issue.keys.join(', ')}` : undefined;
  const field = path === '' ? whole : path;
  // A stranger chooses the names of unknown fields, and long names must not fill the answer or the log.
  const reason = (unknown ?? issue?.message ?? 'not as documented').slice(0, MAX_REASON_CHARACTERS);
  throw new EvidenceError('FIELD_INVALID', `${field}: ${reason}`, { field, observed: reason });
}

/** `POST /challenge`, decoded. */
export interface ChallengeRequest {
  readonly account: AccountId;
  readonly ephemeralPublicKey: X25519PublicKey;
}

/** Decodes the body of `POST /challenge`. @throws EvidenceError FIELD_INVALID, HPKE_PUBLIC_KEY_INVALID. */
export function decodeChallengeRequest(body: unknown): ChallengeRequest {
  const { accountId, ephemeralPublicKey } = parseWire(challengeBody, body);
  return {
    account: AccountId.parse(accountId, 'accountId'),
    ephemeralPublicKey: parseEphemeralKey(ephemeralPublicKey),
  };
}

/**
 * A key of small order is refused first: HPKE cannot seal to it, so a server key made for such a request would never
 * reach its client.
 */
function parseEphemeralKey(text: string): X25519PublicKey {
  const key = X25519PublicKey.parse(text, 'ephemeralPublicKey');
  if (!hasSmallOrder(key)) return key;
  throw new EvidenceError('HPKE_PUBLIC_KEY_INVALID', 'ephemeralPublicKey is a point of small order', {
    field: 'ephemeralPublicKey',
    expected: 'a public key that X25519 key generation makes',
    observed: 'a point of small order',
  });
}

/** `POST /request-encryption-key`, decoded; none of its values is proved. */
export interface KeyRequest {
  readonly account: AccountId;
  readonly ephemeralPublicKey: X25519PublicKey;
  readonly intent: Intent;
  readonly servers: readonly AddressedServer[];
  readonly recoveryProof: Mac | undefined;
  readonly quote: Uint8Array;
}

/**
 * A request of account, key and quote alone, as entropy-core's issue 1247 proposes it. Without a challenge in the quote,
 * everyone who sees the request could send it again at any time, and the machine of long ago would still seem to ask.
 */
function requireChallenge(body: unknown): void {
  // What is no object has neither field, and the schema refuses it.
  if (!Object.hasOwn(Object(body), 'quote') || Object.hasOwn(Object(body), 'servers')) return;
  throw new EvidenceError('CHALLENGE_MISSING', 'the request names no server and no challenge', {
    field: 'servers',
    expected: 'the servers that are asked, each with a nonce that it gave for this account and ephemeral key',
    observed: 'none',
    hint: 'ask POST /challenge for a nonce, put it into the report data of the quote, and send it in `servers`',
  });
}

/**
 * Decodes the body of `POST /request-encryption-key`.
 * @throws EvidenceError CHALLENGE_MISSING, FIELD_INVALID, HPKE_PUBLIC_KEY_INVALID.
 */
export function decodeKeyRequest(body: unknown): KeyRequest {
  requireChallenge(body);
  const wire = parseWire(keyRequestBody, body);
  return {
    account: AccountId.parse(wire.accountId, 'accountId'),
    ephemeralPublicKey: parseEphemeralKey(wire.ephemeralPublicKey),
    intent: wire.intent,
    servers: wire.servers.map(({ server, nonce, slotId }, index) => ({
      server: AccountId.parse(server, `servers.${index}.server`),
      nonce: Nonce.parse(nonce, `servers.${index}.nonce`),
      slotId: slotId === undefined ? PLAIN_SLOT_ID : SlotId.parse(slotId, `servers.${index}.slotId`),
    })),
    recoveryProof:
      wire.recoveryProof === undefined ? undefined : Mac.parse(wire.recoveryProof, 'recoveryProof'),
    quote: parseBase64(wire.quote, 'quote'),
  };
}
