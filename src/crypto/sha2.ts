import { createHash, hash } from 'node:crypto';

function digest(algorithm: string, parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** SHA-256 (FIPS 180-4) over the concatenated parts; 32 bytes. */
export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha256', parts);

/** SHA-384 (FIPS 180-4) over the concatenated parts; 48 bytes. */
export const sha384 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha384', parts);

/** SHA-512 (FIPS 180-4) over the concatenated parts; 64 bytes. */
export const sha512 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha512', parts);

/** SHA-256 as lower-case hex; for cache keys, where it saves a copy. */
export const sha256Hex = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');
