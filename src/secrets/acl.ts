import canonicalize from 'canonicalize';
import { z } from 'zod';
import { equalBytes, utf8 } from '../bytes/concat.ts';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** Verbs that an ACL can name (RFC 9110, RFC 5789), without CONNECT and TRACE. */
export const verbs = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'] as const;
export type Verb = (typeof verbs)[number];

/** Most bytes of an ACL in its encoding. */
export const MAX_ACL_BYTES = 16_384;

/** Who may use a secret, and for what. Whatever it does not name is refused. */
export interface Acl {
  /** Accounts; the user of the secret has to be among them to use it. */
  readonly callers: readonly AccountId[];
  readonly verbs: readonly Verb[];
  /** Patterns of whole paths: `*` is one segment that is not empty, `**` at the end is everything below. */
  readonly paths: readonly string[];
  /** Headers, in lower case, in which the placeholder is replaced. */
  readonly headers: readonly string[];
  /** Whether the placeholder is replaced in the body. */
  readonly body: boolean;
  /** Whether the secret may be sent by `http` without TLS. */
  readonly plainHttp: boolean;
  /** `undefined`: as long as the secret. */
  readonly expiresAtMs: number | undefined;
  /** How many requests each period of the clock has room for; `undefined`: as many as come. */
  readonly limit: { readonly count: number; readonly periodMs: number } | undefined;
}

/** Segments of printable ASCII, as URLs have them. */
const pathPattern = /^(?:\/(?:\*|[!"$-)+-.0->@-~]*))*(?:\/\*\*)?$/;
const positive = z.int().min(1);
const aclFields = z.strictObject({
  callers: z.array(z.string()).min(1).max(64),
  verbs: z.array(z.enum(verbs)).min(1).max(verbs.length),
  paths: z.array(z.string().max(512).regex(pathPattern, 'expected a path pattern')).min(1).max(64),
  headers: z
    .array(z.string().regex(/^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'expected a header name in lower case'))
    .max(16),
  body: z.boolean(),
  plainHttp: z.boolean(),
  expiresAtMs: positive.optional(),
  limit: z.strictObject({ count: positive, periodMs: positive }).optional(),
});

/** The one encoding of an ACL: canonical JSON (RFC 8785). */
export function encodeAcl({ expiresAtMs, limit, ...acl }: Acl): Uint8Array {
  const json = canonicalize({
    ...acl,
    callers: acl.callers.map(toPrefixedHex),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(limit === undefined ? {} : { limit }),
  });
  return utf8(json ?? '');
}

/**
 * Reads an ACL, and only its one encoding.
 * @throws EvidenceError SECRET_RECORD_INVALID naming the field.
 */
export function decodeAcl(bytes: Uint8Array): Acl {
  if (bytes.length > MAX_ACL_BYTES) throw invalidAcl(`more than ${MAX_ACL_BYTES} bytes`);
  const parsed = aclFields.safeParse(parseJson(bytes));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalidAcl(`${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? ''}`.slice(0, 200));
  }
  const { callers, expiresAtMs, limit, ...fields } = parsed.data;
  const acl = { ...fields, callers: callers.map((caller) => parseCaller(caller)), expiresAtMs, limit };
  if (!equalBytes(encodeAcl(acl), bytes)) throw invalidAcl('another encoding than canonical JSON');
  return acl;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

function parseCaller(text: string): AccountId {
  try {
    return AccountId.parse(text, 'callers');
  } catch (cause) {
    throw invalidAcl('callers: an account that is not 0x and 64 hex digits', cause);
  }
}

const invalidAcl = (observed: string, cause?: unknown): EvidenceError =>
  new EvidenceError('SECRET_RECORD_INVALID', `the ACL is wrong: ${observed}`, {
    field: 'acl',
    expected: 'canonical JSON of the fields in docs/secrets.md',
    observed,
    cause,
  });

/**
 * Whether a path matches a pattern of an ACL, segment by segment. `*` is no empty segment: many services read `/files/` as
 * the whole collection, and two slashes as one.
 */
export function matchesPath(path: string, pattern: string): boolean {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  const isOpen = wanted.at(-1) === '**';
  const fixed = isOpen ? wanted.slice(0, -1) : wanted;
  if (isOpen ? given.length < wanted.length : given.length !== wanted.length) return false;
  return fixed.every((segment, index) => (segment === '*' ? given[index] !== '' : segment === given[index]));
}
