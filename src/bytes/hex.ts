import { EvidenceError } from '../errors/latchkey-error.ts';
import { decodeHex, encodeHex } from './native-bytes.ts';

/** Lower-case hex without prefix. */
export const toHex = (bytes: Uint8Array): string => encodeHex(bytes);

/** `0x` and lower-case hex, as fixed-size values travel in JSON. */
export const toPrefixedHex = (bytes: Uint8Array): string => `0x${toHex(bytes)}`;

/**
 * Reads hex with or without `0x`, either case.
 * @returns `undefined` when the text is anything else.
 */
export function tryFromHex(text: string): Uint8Array | undefined {
  const digits = text.startsWith('0x') ? text.slice(2) : text;
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) return undefined;
  return decodeHex(digits);
}

/**
 * Reads a fixed-size value from a request: `0x`, then exactly two hex digits per byte.
 * @throws EvidenceError FIELD_INVALID naming the field, the length expected and the length that came.
 */
export function parsePrefixedHex(text: string, byteLength: number, field: string): Uint8Array {
  const bytes = text.startsWith('0x') ? tryFromHex(text) : undefined;
  if (bytes?.length === byteLength) return bytes;
  const expected = `0x and ${byteLength * 2} hex digits (${byteLength} bytes)`;
  const observed =
    bytes === undefined ? `text of ${text.length} characters that is not 0x hex` : `${bytes.length} bytes`;
  throw new EvidenceError('FIELD_INVALID', `${field} must be ${byteLength} bytes, got ${observed}`, {
    field,
    expected,
    observed,
  });
}
