import canonicalize from 'canonicalize';
import { z } from 'zod';
import { equalBytes, utf8 } from '../bytes/concat.ts';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { sha256 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** Lower-case hex with `0x`, so that one value has one text. */
export const exactHex = (byteLength: number) =>
  z
    .string()
    .regex(
      new RegExp(`^0x[0-9a-f]{${byteLength * 2}}$`),
      `must be 0x and ${byteLength * 2} lower-case hex digits`,
    );

/** A time in milliseconds since 1970. */
export const timeMs = z.int().nonnegative();

/** Text that is safe to show in a terminal. */
export const shortText = z
  .string()
  .regex(/^[\x20-\x7e]{1,64}$/, 'must be 1 to 64 printable ASCII characters');

/** An account, SS58 with prefix 42. */
export const accountText = z.string().refine(isSs58, 'must be an account in SS58 with prefix 42');

function isSs58(text: string): boolean {
  try {
    return encodeSs58(AccountId.parse(text, 'account')) === text;
  } catch {
    return false;
  }
}

/** A list without repetitions, ascending by a text of each entry. */
export const ascending = <Entry extends z.ZodType>(
  entry: Entry,
  most: number,
  nameOf: (entry: z.output<Entry>) => string,
) =>
  z
    .array(entry)
    .max(most)
    .refine(
      (list) => list.every((item, index) => index === 0 || nameOf(list[index - 1] ?? item) < nameOf(item)),
      'must be ascending, and nothing in it twice',
    );

/** The bytes of a value: canonical JSON (RFC 8785) in UTF-8. */
export const canonicalBytes = (value: object): Uint8Array => utf8(canonicalize(value) ?? '');

/** What is read: its schema, its limit, and what errors call it. */
export interface DocumentKind<Value extends object> {
  readonly name: string;
  readonly schema: z.ZodType<Value>;
  readonly maxBytes: number;
}

/**
 * Reads exact bytes. They are parsed only when they have the expected hash, and refused unless writing what was read
 * gives the same bytes again: no repeated key, no escape, no number that loses digits, no other order.
 * @param hash SHA-256 of the bytes, as a signed header or body names it.
 * @throws EvidenceError FLEET_BODY_MISMATCH, FLEET_BODY_MALFORMED.
 */
export function readExact<Value extends object>(
  bytes: Uint8Array,
  hash: Uint8Array,
  { name, schema, maxBytes }: DocumentKind<Value>,
): Value {
  if (bytes.length > maxBytes)
    throw malformed(name, 'length', `at most ${maxBytes} bytes`, `${bytes.length} bytes`);
  const observed = sha256(bytes);
  if (!equalBytes(observed, hash)) {
    throw new EvidenceError(
      'FLEET_BODY_MISMATCH',
      `${name}: these are other bytes than the ones that were signed`,
      {
        field: name,
        expected: toPrefixedHex(hash),
        observed: toPrefixedHex(observed),
      },
    );
  }
  const parsed = schema.safeParse(parseJson(bytes, name));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const place = issue?.path.join('.') ?? '';
    throw malformed(
      name,
      place === '' ? 'content' : place,
      'the documented form',
      issue?.message ?? 'another',
    );
  }
  if (equalBytes(canonicalBytes(parsed.data), bytes)) return parsed.data;
  throw malformed(name, 'bytes', 'canonical JSON (RFC 8785)', 'another spelling of the same content');
}

function parseJson(bytes: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw malformed(name, 'bytes', 'JSON in UTF-8', 'something else');
  }
}

/** A fault in a body or a document. */
export const malformed = (name: string, place: string, expected: string, observed: string): EvidenceError =>
  new EvidenceError('FLEET_BODY_MALFORMED', `${name}: ${place} must be ${expected}, got ${observed}`, {
    field: `${name}: ${place}`,
    expected,
    observed,
  });
