import { EvidenceError } from '../errors/latchkey-error.ts';
import { decodeBase64, encodeBase64 } from './native-bytes.ts';

/** Standard alphabet, padded (RFC 4648 section 4). */
export const toBase64 = (bytes: Uint8Array): string => encodeBase64(bytes);

/**
 * Reads canonical base64 only (RFC 4648 section 3.5): standard alphabet, full padding, zero trailing bits, no space.
 * @returns `undefined` for anything else, so that one value has one text.
 */
export function tryFromBase64(text: string): Uint8Array | undefined {
  const bytes = decodeBase64(text);
  return toBase64(bytes) === text ? bytes : undefined;
}

/**
 * Reads canonical base64 from a request.
 * @throws EvidenceError FIELD_INVALID naming the field.
 */
export function parseBase64(text: string, field: string): Uint8Array {
  const bytes = tryFromBase64(text);
  if (bytes !== undefined) return bytes;
  throw new EvidenceError('FIELD_INVALID', `${field} must be canonical base64 (RFC 4648 section 4, padded)`, {
    field,
    expected: 'canonical base64',
    observed: `${text.length} characters that are not`,
  });
}
