import { concatBytes, utf8 } from '../bytes/concat.ts';
import { type AccountId, RecordId } from '../bytes/fixed-bytes.ts';
import { u16BigEndian } from '../bytes/integers.ts';
import { sha256 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

const SECRET_LABEL = utf8('latchkey/v1/secret');
/** Most characters of a URL. */
export const MAX_URL_CHARACTERS = 2_048;

/** To which requests a secret belongs. */
export interface SecretScope {
  /** Scheme, host and, unless it is the scheme's own, port: `https://api.example.com:8443`. */
  readonly origin: string;
  /** `/`, or a path below which requests have to be, without a slash at its end. */
  readonly pathPrefix: string;
}

/** The parts of a URL by which a request is judged. */
export interface Target {
  readonly origin: string;
  readonly path: string;
}

/**
 * Id of a secret: SHA-256("latchkey/v1/secret" ‖ account ‖ u16 length ‖ origin ‖ u16 length ‖ path prefix). It does not
 * depend on the value, so a reader can compute it, and an update does not move the record.
 */
export function secretId(account: AccountId, { origin, pathPrefix }: SecretScope): RecordId {
  const texts = [origin, pathPrefix].map(utf8).map((text) => concatBytes(u16BigEndian(text.length), text));
  return RecordId.of(sha256(SECRET_LABEL, account, ...texts));
}

/**
 * Reads a URL as the WHATWG URL Standard does: host in lower case and ASCII, dot segments resolved, the scheme's own
 * port left out.
 * @throws EvidenceError FIELD_INVALID for other schemes, user names, fragments, a host with a dot at its end, port 0, and
 *   for escaped slashes and dot segments with a parameter, with which a service may come to another path.
 */
export function parseTarget(text: string): Target {
  const url = text.length <= MAX_URL_CHARACTERS && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw invalidUrl('another text');
  if (url.username !== '' || url.password !== '') throw invalidUrl('a user name');
  if (text.includes('#')) throw invalidUrl('a fragment');
  if (url.hostname.endsWith('.')) throw invalidUrl('a host with a dot at its end');
  // Node.js connects to the scheme's own port instead, which was not judged.
  if (url.port === '0') throw invalidUrl('port 0');
  // Servers that cut off parameters of a segment read it as a dot segment afterwards.
  if (hasDotParameter(url.pathname)) throw invalidUrl('a dot segment with a parameter');
  if (/%(?:2f|5c)/i.test(url.pathname)) throw invalidUrl('an escaped slash in the path');
  return { origin: url.origin, path: url.pathname };
}

/** Whether a path has a dot segment with a parameter: `/..;x`. */
export const hasDotParameter = (path: string): boolean => /\/(?:\.|%2e){1,2}(?:;|%3b)/i.test(path);

/**
 * The scope that a URL names: its origin, and its path as the prefix.
 * @throws EvidenceError FIELD_INVALID as {@link parseTarget}, and for a URL with a query.
 */
export function parseScope(text: string): SecretScope {
  const { origin, path } = parseTarget(text);
  if (text.includes('?')) throw invalidUrl('a query');
  return { origin, pathPrefix: path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path };
}

/** Whether a scope is written in its one form. */
export function isNormalScope({ origin, pathPrefix }: SecretScope): boolean {
  try {
    const parsed = parseScope(`${origin}${pathPrefix}`);
    return parsed.origin === origin && parsed.pathPrefix === pathPrefix;
  } catch {
    return false;
  }
}

/** Whether a request belongs to a scope; a prefix ends where a segment ends: `/v1` has `/v1/x` and not `/v10`. */
export const isWithin = ({ origin, path }: Target, scope: SecretScope): boolean =>
  origin === scope.origin &&
  (scope.pathPrefix === '/' || path === scope.pathPrefix || path.startsWith(`${scope.pathPrefix}/`));

const invalidUrl = (observed: string): EvidenceError =>
  new EvidenceError('FIELD_INVALID', `the URL must be http or https, got ${observed}`, {
    field: 'url',
    expected: `an absolute http or https URL of at most ${MAX_URL_CHARACTERS} characters, without user name and fragment`,
    observed,
  });
