import { createHmac } from 'node:crypto';
import { plainBytes } from './plain-bytes.ts';

const HASH_BYTES = 32;

/** HMAC-SHA-256 (RFC 2104) over the concatenated parts; 32 bytes. */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return plainBytes(mac.digest());
}

/** HKDF-Extract with SHA-256 (RFC 5869 section 2.2); 32 bytes. An empty salt means 32 zero bytes. */
export function hkdfExtract(salt: Uint8Array, ...inputKeyMaterial: readonly Uint8Array[]): Uint8Array {
  return hmacSha256(salt.length === 0 ? new Uint8Array(HASH_BYTES) : salt, ...inputKeyMaterial);
}

/**
 * HKDF-Expand with SHA-256 (RFC 5869 section 2.3).
 * @throws RangeError when more than 255 × 32 bytes are asked for.
 */
export function hkdfExpand(pseudoRandomKey: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  if (!Number.isInteger(length) || length < 1 || length > 255 * HASH_BYTES) {
    throw new RangeError(`HKDF output must be 1 to ${255 * HASH_BYTES} bytes, got ${length}`);
  }
  const output = new Uint8Array(Math.ceil(length / HASH_BYTES) * HASH_BYTES);
  let previous: Uint8Array = new Uint8Array(0);
  for (let block = 0; block * HASH_BYTES < length; block++) {
    const next = hmacSha256(pseudoRandomKey, previous, info, Uint8Array.of(block + 1));
    output.set(next, block * HASH_BYTES);
    previous.fill(0);
    previous = next;
  }
  previous.fill(0);
  return output.subarray(0, length);
}

/** HKDF-SHA-256 without salt under a text label, as in all derivations of this project; 32 bytes by default. */
export function deriveKey(secret: Uint8Array, label: string, length = HASH_BYTES): Uint8Array {
  const pseudoRandomKey = hkdfExtract(new Uint8Array(0), secret);
  const key = hkdfExpand(pseudoRandomKey, new TextEncoder().encode(label), length);
  // All keys with other labels can be derived from it, so it is as secret as the input.
  pseudoRandomKey.fill(0);
  return key;
}
