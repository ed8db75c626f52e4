import canonicalize from 'canonicalize';
import { z } from 'zod';
import { equalBytes, utf8 } from '../bytes/concat.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** What the audit log records. */
export const auditEvents = [
  'node.started',
  'key.released',
  'keys.refused',
  'store-key.changed',
  'rollback.accepted',
  'drain.started',
  'drain.ended',
  'entries.missed',
] as const;
export type AuditEvent = (typeof auditEvents)[number];

/** Longest text of a field, in characters; longer text is cut. */
const MAX_TEXT = 256;
/** Most bytes of an entry. */
export const MAX_ENTRY_BYTES = 8_192;

const fieldSchema = z.union([z.string().max(MAX_TEXT), z.int(), z.boolean()]);
/** Facts of an entry: texts, whole numbers and switches, or a list of these. */
export type AuditFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

const entrySchema = z.strictObject({
  atMs: z.int().nonnegative(),
  event: z.string().regex(/^[a-z][a-z.-]{0,63}$/),
  fields: z.record(z.string(), z.union([fieldSchema, z.array(z.string().max(MAX_TEXT)).max(64)])),
  sequence: z.int().min(1),
});

/** One entry of an audit log. */
export type AuditEntry = Readonly<z.output<typeof entrySchema>>;

/** Exact bytes of an entry: canonical JSON (RFC 8785). */
export function encodeEntry(
  sequence: number,
  atMs: number,
  event: AuditEvent,
  fields: AuditFields,
): Uint8Array {
  const cut = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, withinLimit(value)]));
  return utf8(canonicalize({ atMs, event, fields: cut, sequence }) ?? '');
}

const withinLimit = (value: AuditFields[string]): AuditFields[string] =>
  typeof value === 'string' ? cutText(value) : Array.isArray(value) ? value.slice(0, 64).map(cutText) : value;

/** Text no longer than allowed; half characters, which UTF-8 cannot carry, are replaced. */
const cutText = (text: string): string => new TextDecoder().decode(utf8(text.slice(0, MAX_TEXT)));

/**
 * Reads the bytes of an entry.
 * @throws EvidenceError AUDIT_ENTRY_INVALID unless they are the one encoding of an entry.
 */
export function decodeEntry(bytes: Uint8Array): AuditEntry {
  const text = exactText(bytes);
  const parsed = entrySchema.safeParse(jsonOf(text));
  if (parsed.success && canonicalize(parsed.data) === text) return parsed.data;
  throw new EvidenceError('AUDIT_ENTRY_INVALID', 'this is no entry of an audit log', {
    expected: 'one line of canonical JSON with atMs, event, fields and sequence',
    observed: parsed.error?.issues[0]?.message ?? 'another spelling of the same content',
  });
}

/**
 * Text of exactly these bytes. By default a decoder drops a byte order mark and replaces bytes that are not UTF-8.
 * @returns an empty text, which is no JSON, when they are no UTF-8.
 */
export function exactText(bytes: Uint8Array): string {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  return equalBytes(utf8(text), bytes) ? text : '';
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
