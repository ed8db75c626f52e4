import { createHash } from 'node:crypto';
import { blake2b } from '@noble/hashes/blake2.js';

const concatenated = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

function digest(algorithm: string, parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** BLAKE2b with 32 bytes of output (RFC 7693), as Substrate hashes; OpenSSL 3.0 has only the 64-byte one. */
export const blake2b256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  blake2b(concatenated(parts), { dkLen: 32 });

/** BLAKE2b with 64 bytes of output (RFC 7693), as SS58 checksums use; OpenSSL's is 20 times faster than noble's. */
export const blake2b512 = (...parts: readonly Uint8Array[]): Uint8Array => digest('blake2b512', parts);

/** BLAKE2s with 32 bytes of output (RFC 7693), as Entropy's report data uses. */
export const blake2s256 = (...parts: readonly Uint8Array[]): Uint8Array => digest('blake2s256', parts);

/** BLAKE2b with 16 bytes of output (RFC 7693), as Substrate's storage hasher Blake2_128Concat uses. */
export const blake2b128 = (...parts: readonly Uint8Array[]): Uint8Array =>
  blake2b(concatenated(parts), { dkLen: 16 });
