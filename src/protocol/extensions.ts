import { z } from 'zod';
import { parseBase64, toBase64 } from '../bytes/base64.ts';
import { compareBytes, concatBytes, utf8 } from '../bytes/concat.ts';
import { u16BigEndian } from '../bytes/integers.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/**
 * Named values that a sealed grant or a MACed answer carries after its fixed fields. A reader authenticates all of
 * them, uses the names that it knows, and ignores the others. A missing name means that the server says nothing
 * about it.
 */
export type Extensions = ReadonlyMap<string, Uint8Array>;

/** Name of the signed header of the newest fleet manifest that a server has accepted. */
export const FLEET_EXTENSION = 'fleet';

/** Names that this version of the protocol reserves. */
export const reservedExtensions = [FLEET_EXTENSION, 'auditHead', 'platform'] as const;

/** Most extensions of one grant or answer. */
export const MAX_EXTENSIONS = 8;
/** Most bytes of one extension. */
export const MAX_EXTENSION_BYTES = 4_096;

const namePattern = /^[a-z][A-Za-z0-9]{0,31}$/;
const NAME_FORM = 'names of a lower-case letter and up to 31 letters and digits';

/** No extensions. */
export const noExtensions: Extensions = new Map();

/** Extensions in JSON: names, and the exact bytes of each in base64. */
export const extensionFields = z.preprocess(
  (value, { addIssue }) => {
    // The schema of a record leaves this name out without a word, and then no MAC would cover it.
    if (Object.hasOwn(Object(value), '__proto__'))
      addIssue({ code: 'custom', message: `expected ${NAME_FORM}, got another name`, input: value });
    return value;
  },
  z.record(z.string(), z.string()).meta({
    description: `at most ${MAX_EXTENSIONS} names, each with 1 to ${MAX_EXTENSION_BYTES} bytes, base64`,
  }),
);

/**
 * The JSON field of extensions; no field when there are none.
 * @throws RangeError when they are not within the limits.
 */
export function extensionsToWire(extensions: Extensions): { readonly extensions?: Record<string, string> } {
  requireEncodable(extensions);
  if (extensions.size === 0) return {};
  return {
    extensions: Object.fromEntries([...extensions].map(([name, bytes]) => [name, toBase64(bytes)])),
  };
}

/** Reads the JSON field of extensions. @throws EvidenceError FIELD_INVALID. */
export function decodeExtensions(wire: Readonly<Record<string, string>> | undefined): Extensions {
  if (wire === undefined) return noExtensions;
  const entries = Object.entries(wire);
  // An empty object would be a second way to write that there are none.
  if (entries.length === 0) throw invalid({ expected: 'at least one name, or no field', observed: 'none' });
  const extensions = new Map(entries.map(([name, text]) => [name, parseBase64(text, 'extensions')] as const));
  const fault = faultOf(extensions);
  if (fault !== undefined) throw invalid(fault);
  return extensions;
}

/**
 * Canonical bytes of extensions, for a MAC: u16 count ‖ (u8 length of the name ‖ name ‖ u16 length of the value ‖
 * value)…, ascending by the bytes of the name.
 * @throws RangeError when they are not within the limits.
 */
export function extensionBytes(extensions: Extensions): Uint8Array {
  requireEncodable(extensions);
  const entries = [...extensions].map(([name, value]) => ({ name: utf8(name), value }));
  entries.sort((a, b) => compareBytes(a.name, b.name));
  return concatBytes(
    u16BigEndian(entries.length),
    ...entries.flatMap(({ name, value }) => [
      Uint8Array.of(name.length),
      name,
      u16BigEndian(value.length),
      value,
    ]),
  );
}

interface Fault {
  readonly expected: string;
  readonly observed: string;
}

function faultOf(extensions: Extensions): Fault | undefined {
  if (extensions.size > MAX_EXTENSIONS) {
    return { expected: `at most ${MAX_EXTENSIONS} names`, observed: `${extensions.size}` };
  }
  for (const [name, { length }] of extensions) {
    // A stranger chooses the name, and it may be long, so the error does not repeat it.
    if (!namePattern.test(name)) return { expected: NAME_FORM, observed: 'another name' };
    if (length < 1 || length > MAX_EXTENSION_BYTES) {
      return { expected: `1 to ${MAX_EXTENSION_BYTES} bytes in ${name}`, observed: `${length}` };
    }
  }
  return undefined;
}

function requireEncodable(extensions: Extensions): void {
  const fault = faultOf(extensions);
  if (fault !== undefined) {
    throw new RangeError(`extensions: expected ${fault.expected}, got ${fault.observed}`);
  }
}

function invalid({ expected, observed }: Fault): EvidenceError {
  return new EvidenceError('FIELD_INVALID', `extensions: expected ${expected}, got ${observed}`, {
    field: 'extensions',
    expected,
    observed,
  });
}
