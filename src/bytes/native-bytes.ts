/**
 * The few conversions that Node.js does much faster than JavaScript. `packages/tdx/portable` has the same functions for
 * browsers; a test compares the two.
 */

/** A view as a Buffer over the same memory. */
const view = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Lower-case hex without prefix. */
export const encodeHex = (bytes: Uint8Array): string => view(bytes).toString('hex');

/** Reads an even number of hex digits, which the caller has checked, into memory of its own. */
export function decodeHex(digits: string): Uint8Array {
  // Buffer.from would decode into a pool, where a secret stays unwiped.
  const bytes = new Uint8Array(digits.length / 2);
  view(bytes).write(digits, 'hex');
  return bytes;
}

/** Base64, standard alphabet, padded (RFC 4648 section 4). */
export const encodeBase64 = (bytes: Uint8Array): string => view(bytes).toString('base64');

/** Reads base64 into memory of its own. Any result for text that is not canonical: the caller encodes it to compare. */
export function decodeBase64(text: string): Uint8Array {
  const bytes = new Uint8Array(Buffer.byteLength(text, 'base64'));
  view(bytes).write(text, 'base64');
  return bytes;
}

/** One character a byte (ISO 8859-1). */
export const latin1 = (bytes: Uint8Array): string => view(bytes).toString('latin1');

/** Lexicographic order; negative, zero or positive. */
export const compareBytes = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);
