import { toHex } from '../bytes/hex.ts';

/** A value in a form that `JSON.stringify` takes: bytes as lower-case hex, big integers as decimal text. */
export function printable(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}`;
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(printable);
  if (typeof value === 'object' && value !== null) return printableFields(value);
  return value;
}

/**
 * Freezes an object that `JSON.stringify` prints as {@link printable} does. The method cannot be enumerated, so that
 * copies and comparisons see the fields alone.
 */
export function frozenWithJson<Fields extends object>(fields: Fields): Readonly<Fields> {
  Object.defineProperty(fields, 'toJSON', { value: () => printableFields(fields) });
  return Object.freeze(fields);
}

/** The fields of an object, each as {@link printable} gives it. */
export const printableFields = (fields: object): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, printable(value)]));
