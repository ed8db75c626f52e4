import { Buffer } from 'node:buffer';
import { concatBytes } from '../../bytes/concat.ts';
import { EvidenceError, RefusalError } from '../../errors/latchkey-error.ts';
import { hasDotParameter, parseTarget, type Target } from '../scope.ts';

/** Stands for the value of the secret, in the path, the query, a header or the body of a request. */
export const PLACEHOLDER = 'xxxREPLACE_MExxx';
/** Most bytes of the body of a request, without the value. */
export const MAX_REQUEST_BODY_BYTES = 131_072;
/** Most characters of the path and query that are sent. */
const MAX_SENT_PATH_CHARACTERS = 16_384;
/** Most bytes of a body with the value in it. */
const MAX_FILLED_BODY_BYTES = 1024 * 1024;
const MAX_HEADERS = 64;
/** Most characters of all names and values of headers together, before and after the value is placed. */
const MAX_HEADER_CHARACTERS = 16_384;

/** Names and values in their order; a name may come more than once. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** A request that a caller wants to be made, before the value is in it. */
export interface WantedRequest {
  readonly verb: string;
  readonly url: string;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
}

/** Where a request goes to, and in which places the placeholder is. */
export interface RequestPlaces {
  readonly target: Target;
  /** Names of headers with the placeholder, in lower case. */
  readonly headers: readonly string[];
  readonly inBody: boolean;
}

/** A request as it is sent; it may hold the secret. */
export interface OutgoingRequest {
  readonly verb: string;
  readonly isTls: boolean;
  /** A name in ASCII, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Path and query. */
  readonly path: string;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
}

/**
 * Headers that belong to the connection and not to the request (RFC 9110 section 7.6.1), and those from which the length
 * of the message follows. A caller that chooses them can hide a second request in the first one.
 */
const refusedHeaders = new Set([
  ...['connection', 'content-length', 'expect', 'host', 'http2-settings', 'keep-alive', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade'],
  // With these, some services act by another verb or path than the one that the ACL allowed.
  ...['x-http-method', 'x-http-method-override', 'x-method-override', 'x-original-url', 'x-rewrite-url'],
]);

const verbOverrides = new Set(['_method', 'x_http_method', 'x_http_method_override', 'x_method_override']);

/**
 * Finds the placeholder in a request, and refuses what no request may have.
 * @throws EvidenceError FIELD_INVALID, SECRET_TOO_LARGE. RefusalError SECRET_HEADER_REFUSED, SECRET_VERB_REFUSED.
 */
export function placesOf({ verb, url, headers, body }: WantedRequest): RequestPlaces {
  if (body.length > MAX_REQUEST_BODY_BYTES)
    throw new EvidenceError('SECRET_TOO_LARGE', 'the body of the request is too large', {
      field: 'body',
      expected: `at most ${MAX_REQUEST_BODY_BYTES} bytes`,
      observed: `${body.length} bytes`,
    });
  if (body.length > 0 && (verb === 'GET' || verb === 'HEAD'))
    throw invalid('body', 'none with GET and HEAD', `${body.length} bytes`);
  judgeHeaders(headers);
  const target = parseTarget(url);
  judgeQuery(new URL(url).search);
  const named = headers
    .filter(([, value]) => value.includes(PLACEHOLDER))
    .map(([name]) => name.toLowerCase());
  return {
    target,
    headers: [...new Set(named)],
    inBody: Buffer.from(body.buffer, body.byteOffset, body.length).includes(PLACEHOLDER),
  };
}

function judgeHeaders(headers: HeaderList): void {
  if (headers.length > MAX_HEADERS) throw invalid('headers', `at most ${MAX_HEADERS}`, `${headers.length}`);
  requireHeaderSize(headers, () => invalid('headers', `${MAX_HEADER_CHARACTERS} characters`, 'more'));
  for (const [name, value] of headers) {
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name))
      throw invalid('headers', 'names of RFC 9110', 'another name');
    if (!isHeaderValue(value))
      throw invalid(`headers.${name.toLowerCase()}`, 'printable ASCII', 'another text');
    const lower = name.toLowerCase();
    // Many services read an underscore in a name as a hyphen.
    const read = lower.replaceAll('_', '-');
    if (!refusedHeaders.has(read) && !read.startsWith('proxy-')) continue;
    throw new RefusalError(
      'SECRET_HEADER_REFUSED',
      'this header would change the connection, the verb or the path',
      {
        field: `headers.${lower}`,
        expected: 'headers of the request, none of the connection',
      },
    );
  }
}

/** Frameworks take another verb from these parameters, in spellings that they read alike. A body is not looked at. */
function judgeQuery(search: string): void {
  const names = [...new URLSearchParams(search.replaceAll(';', '&')).keys()];
  const isOverride = (name: string) =>
    verbOverrides.has(
      name
        .trim()
        .toLowerCase()
        .replace(/[ .[-]/g, '_'),
    );
  if (!names.some(isOverride)) return;
  throw new RefusalError('SECRET_VERB_REFUSED', 'this parameter would change the verb', {
    field: 'url',
    expected: `no parameter ${[...verbOverrides].join(', ')}`,
  });
}

function requireHeaderSize(headers: HeaderList, error: () => Error): void {
  const characters = headers.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (characters > MAX_HEADER_CHARACTERS) throw error();
}

/** Printable ASCII and spaces, not at the ends; so neither a line end nor a zero byte (RFC 9110 section 5.5). */
const isHeaderValue = (value: string): boolean => /^(?:[!-~](?:[ \t!-~]*[!-~])?)?$/.test(value);

/**
 * Puts the value in its places: with percent encoding in path and query, as it is in headers and body.
 * @param wanted passed {@link placesOf}, and the ACL.
 * @param value of the secret; not kept, but its text is in the result.
 * @throws RefusalError SECRET_VALUE_UNUSABLE when the value would change the request itself.
 */
export function outgoingRequest(
  wanted: WantedRequest,
  places: RequestPlaces,
  value: Uint8Array,
): OutgoingRequest {
  const url = new URL(wanted.url);
  const path = replaceIn(url.pathname, percentEncoded(value));
  // A value of dots would lead to another path than the one that was judged.
  if (new URL(`${url.origin}${path}`).pathname !== path || hasDotParameter(path))
    throw unusable('url', 'a part of a path');
  const whole = `${path}${replaceIn(url.search, percentEncoded(value))}`;
  if (whole.length > MAX_SENT_PATH_CHARACTERS)
    throw unusable('url', `${MAX_SENT_PATH_CHARACTERS} characters`);
  const isTls = url.protocol === 'https:';
  const body = places.inBody ? filledBody(wanted.body, value) : wanted.body;
  return {
    verb: wanted.verb,
    isTls,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    path: whole,
    headers: [['host', url.host], ...filledHeaders(wanted.headers, value), ...framing(wanted.verb, body)],
    body,
  };
}

function filledHeaders(headers: HeaderList, value: Uint8Array): HeaderList {
  const text = Buffer.from(value).toString('latin1');
  const filled = headers.map(([name, given]) => {
    if (!given.includes(PLACEHOLDER)) return [name, given] as const;
    if (!isHeaderValue(text)) throw unusable(`headers.${name.toLowerCase()}`, 'printable ASCII');
    return [name, replaceIn(given, text)] as const;
  });
  requireHeaderSize(filled, () => unusable('headers', `${MAX_HEADER_CHARACTERS} characters`));
  return filled;
}

/** One connection for each request, and the one length that its body has (RFC 9112 section 6.3). */
function framing(verb: string, body: Uint8Array): HeaderList {
  const hasBody = body.length > 0 || verb === 'POST' || verb === 'PUT' || verb === 'PATCH';
  return [['connection', 'close'], ...(hasBody ? [['content-length', `${body.length}`] as const] : [])];
}

/** Every placeholder of a body, as bytes. */
function filledBody(body: Uint8Array, value: Uint8Array): Uint8Array {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.length);
  const parts: Uint8Array[] = [];
  let from = 0;
  let length = body.length;
  for (let at = buffer.indexOf(PLACEHOLDER); at >= 0; at = buffer.indexOf(PLACEHOLDER, from)) {
    parts.push(buffer.subarray(from, at), value);
    from = at + PLACEHOLDER.length;
    length += value.length;
    // Many placeholders and a large value would fill the memory.
    if (length > MAX_FILLED_BODY_BYTES) throw unusable('body', `${MAX_FILLED_BODY_BYTES} bytes`);
  }
  return concatBytes(...parts, buffer.subarray(from));
}

const replaceIn = (text: string, value: string): string => text.split(PLACEHOLDER).join(value);

/** All bytes but the unreserved characters (RFC 3986 section 2.3). */
const percentEncoded = (value: Uint8Array): string =>
  [...value]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      if (/[A-Za-z0-9._~-]/.test(character)) return character;
      return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');

/** Says which place, and nothing of the value. */
const unusable = (field: string, expected: string): RefusalError =>
  new RefusalError('SECRET_VALUE_UNUSABLE', 'the value of the secret cannot stand in this place', {
    field,
    expected,
    hint: 'look for a line end or a byte that is not ASCII in the value',
  });

const invalid = (field: string, expected: string, observed: string): EvidenceError =>
  new EvidenceError('FIELD_INVALID', `${field} must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });
