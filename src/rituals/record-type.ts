import { types } from 'node:util';
import { utf8 } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { idText } from './ritual.ts';

/** The types that a field may have, and their values. Integers are from -(2^53 - 1) to 2^53 - 1. */
export interface FieldValues {
  readonly integer: number;
  readonly string: string;
  readonly bytes: Uint8Array;
  readonly boolean: boolean;
}
export type FieldType = keyof FieldValues;
export type Fields = Readonly<Record<string, FieldType>>;

/** A record's id: an integer from 0 to 2^53 - 1, or a non-empty string; `7` and `'7'` are two ids. */
export type RecordId = number | string;

/** A kind of records. */
export interface RecordType<F extends Fields> {
  readonly name: string;
  readonly fields: F;
}

/** The values of a record; fields that are not set are absent. */
export type RecordValues<F extends Fields> = { readonly [Name in keyof F]?: FieldValues[F[Name]] };

/** The byte before each stored value that tells its type. */
const tags: Readonly<Record<FieldType, number>> = { integer: 0x69, string: 0x73, bytes: 0x62, boolean: 0x74 };
const WORD = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;

/**
 * Declares a kind of records.
 * @throws TypeError when a name is not of letters, digits and `_`, which keeps the stored names unambiguous, or when
 *   the type of a field is unknown.
 */
export function recordType<F extends Fields>(name: string, fields: F): RecordType<F> {
  for (const word of [name, ...Object.keys(fields)]) {
    if (!WORD.test(word)) throw new TypeError(`${JSON.stringify(word)} cannot name a record type or field`);
  }
  for (const [field, type] of Object.entries(fields)) {
    if (!Object.hasOwn(tags, type)) {
      const known = Object.keys(tags).join(', ');
      throw new TypeError(`type of ${name}.${field} must be one of ${known}, got ${String(type)}`);
    }
  }
  return { name, fields };
}

/** @throws TypeError unless the value has exactly the declared type. */
export function encodeField(type: FieldType, value: unknown, field: string): Uint8Array {
  const body = bodyOf(type, value);
  if (body === undefined) throw new TypeError(`${field} must be ${type}, got ${describeValue(value)}`);
  return Uint8Array.from([tags[type], ...body]);
}

function bodyOf(type: FieldType, value: unknown): Uint8Array | undefined {
  switch (type) {
    case 'integer':
      return typeof value === 'number' && Number.isSafeInteger(value) ? utf8(String(value)) : undefined;
    case 'string':
      return typeof value === 'string' ? utf8(value) : undefined;
    case 'bytes':
      return types.isUint8Array(value) ? value : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? Uint8Array.of(Number(value)) : undefined;
  }
}

/** @throws TypeError when the stored value has another type than the one declared now. */
export function decodeField<T extends FieldType>(type: T, bytes: Uint8Array, field: string): FieldValues[T] {
  if (bytes[0] !== tags[type]) throw new TypeError(`${field} is stored with another type than ${type}`);
  const body = copyBytes(bytes.subarray(1));
  // Each branch of decodeBody gives the value of its type; the compiler cannot follow that through T.
  return decodeBody(type, body) as FieldValues[T];
}

function decodeBody(type: FieldType, body: Uint8Array): FieldValues[FieldType] {
  switch (type) {
    case 'integer':
      return Number(new TextDecoder().decode(body));
    case 'string':
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(body);
    case 'bytes':
      return body;
    case 'boolean':
      return body[0] === 1;
  }
}

/** The type of a field. @throws TypeError when the record type does not declare it. */
export function fieldType<F extends Fields>(type: RecordType<F>, field: string): FieldType {
  const declared = Object.hasOwn(type.fields, field) ? type.fields[field] : undefined;
  if (declared === undefined) throw new TypeError(`${type.name} has no field ${JSON.stringify(field)}`);
  return declared;
}

/** `Type:field:`. The second colon keeps the field `fo` from being a prefix of `foo`. */
export const fieldPrefix = (type: string, field: string): string => `${type}:${field}:`;

/** Name of one field of one record. Integers sort as numbers, before all strings. */
export function fieldName(type: string, field: string, id: RecordId): string {
  return fieldPrefix(type, field) + idName(id);
}

/** An id as it ends a name. @throws RangeError for an empty string or an integer out of range. */
export function idName(id: RecordId): string {
  if (typeof id === 'number') return `i${idText(id)}`;
  if (id === '') throw new RangeError('a record id must not be empty');
  return `s${id}`;
}

/** Reads the text of {@link idName}. */
export function parseIdName(name: string): RecordId {
  if (name.startsWith('i')) return Number(name.slice(1));
  if (name.startsWith('s')) return name.slice(1);
  throw new ProblemError('RITUAL_RECORD_DAMAGED', 'a record has an id of no kind');
}

const describeValue = (value: unknown): string =>
  types.isUint8Array(value) ? 'bytes' : value === null ? 'null' : typeof value;
