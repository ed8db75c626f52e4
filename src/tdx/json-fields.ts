import { tryFromHex } from '../bytes/hex.ts';
import { utcTimeMs } from '../der/calendar.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

const isoDate = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

/** Parses an ISO 8601 time in whole seconds and UTC, as Intel writes them; `undefined` for anything else. */
function tryParseIsoSeconds(text: string): number | undefined {
  if (!isoDate.test(text)) return undefined;
  const part = (start: number, end: number): number => Number(text.slice(start, end));
  return utcTimeMs(part(0, 4), part(5, 7), part(8, 10), [part(11, 13), part(14, 16), part(17, 19)]);
}

/**
 * Typed access to one object of a signed JSON document. Unknown fields are allowed, since Intel adds some; a missing
 * or ill-typed one throws an EvidenceError with the document's code and the field's path.
 */
export class JsonFields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #name: string;
  readonly #code: ErrorCode;
  readonly #parent: JsonFields | undefined;
  readonly #index: number | undefined;

  /** @param name what to call the object in messages; below `parent`, the field (and its index there) that it is in. */
  constructor(value: unknown, name: string, code: ErrorCode, parent?: JsonFields, index?: number) {
    this.#name = name;
    this.#code = code;
    this.#parent = parent;
    this.#index = index;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      this.fail('', 'an object', value);
    // The line above leaves plain objects only; their fields stay unknown.
    this.#object = value as Readonly<Record<string, unknown>>;
  }

  /** Only messages need it, and most documents have hundreds of objects and no fault. */
  get #path(): string {
    const name = this.#index === undefined ? this.#name : `${this.#name}[${this.#index}]`;
    return this.#parent === undefined ? name : `${this.#parent.#path}.${name}`;
  }

  /** Refuses a field. */
  fail(name: string, expected: string, observed: unknown): never {
    const field = name === '' ? this.#path : `${this.#path}.${name}`;
    const shown = typeof observed === 'object' ? 'something else' : String(observed).slice(0, 80);
    throw new EvidenceError(this.#code, `${field} must be ${expected}, got ${shown}`, {
      field,
      expected,
      observed: shown,
    });
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  #get(name: string): unknown {
    return this.has(name) ? this.#object[name] : undefined;
  }

  string(name: string): string {
    const value = this.#get(name);
    return typeof value === 'string' ? value : this.fail(name, 'text', value);
  }

  /** A text; empty when the field is absent. */
  optionalString(name: string): string {
    return this.has(name) ? this.string(name) : '';
  }

  /** One of a closed list. */
  oneOf<const Values extends readonly (string | number)[]>(name: string, values: Values): Values[number] {
    const value = this.#get(name);
    return values.find((allowed) => allowed === value) ?? this.fail(name, values.join(' or '), value);
  }

  /** An integer from 0 to `max`. */
  integer(name: string, max: number): number {
    const value = this.#get(name);
    const isGood = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
    return isGood ? value : this.fail(name, `an integer from 0 to ${max}`, value);
  }

  /** Hex without prefix, either case, of exactly this many bytes. */
  hex(name: string, byteLength: number): Uint8Array {
    const value = this.#get(name);
    const bytes =
      typeof value === 'string' && value.length === byteLength * 2 ? tryFromHex(value) : undefined;
    return bytes?.length === byteLength ? bytes : this.fail(name, `${byteLength} bytes of hex`, value);
  }

  /** Milliseconds since 1970. */
  dateMs(name: string): number {
    const value = this.#get(name);
    const timeMs = typeof value === 'string' ? tryParseIsoSeconds(value) : undefined;
    return timeMs ?? this.fail(name, 'an ISO 8601 time such as 2026-01-31T00:00:00Z', value);
  }

  object(name: string): JsonFields {
    return new JsonFields(this.#get(name), name, this.#code, this);
  }

  /** Reads each object of an array that is not empty. */
  objects<Value>(name: string, read: (fields: JsonFields) => Value): [Value, ...Value[]] {
    const value = this.#get(name);
    if (!Array.isArray(value) || value.length === 0)
      return this.fail(name, 'an array that is not empty', value);
    const entries: unknown[] = value;
    const readAt = (index: number): Value =>
      read(new JsonFields(entries[index], name, this.#code, this, index));
    const values: [Value, ...Value[]] = [readAt(0)];
    for (let index = 1; index < entries.length; index++) values.push(readAt(index));
    return values;
  }

  /** An array of texts; empty when the field is absent. */
  optionalStrings(name: string): readonly string[] {
    if (!this.has(name)) return [];
    const value = this.#get(name);
    const isGood = Array.isArray(value) && value.every((entry): entry is string => typeof entry === 'string');
    return isGood ? value : this.fail(name, 'an array of texts', value);
  }
}

/** Parses JSON text. @throws EvidenceError with `code`. */
export function parseJsonFields(text: string, path: string, code: ErrorCode): JsonFields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new EvidenceError(code, `${path} is not JSON`, { field: path, expected: 'JSON', cause });
  }
  return new JsonFields(value, path, code);
}
