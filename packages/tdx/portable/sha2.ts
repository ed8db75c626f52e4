// The functions of src/crypto/sha2.ts without Node.js.
import * as noble from '@noble/hashes/sha2.js';
import { encodeHex } from './native-bytes.ts';

/** A hash of @noble/hashes. */
type Hash = typeof noble.sha256 | typeof noble.sha384 | typeof noble.sha512;

function digest(hash: Hash, parts: readonly Uint8Array[]): Uint8Array {
  const stream = hash.create();
  for (const part of parts) stream.update(part);
  return stream.digest();
}

/** SHA-256 (FIPS 180-4) over the concatenated parts; 32 bytes. */
export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => digest(noble.sha256, parts);

/** SHA-384 (FIPS 180-4) over the concatenated parts; 48 bytes. */
export const sha384 = (...parts: readonly Uint8Array[]): Uint8Array => digest(noble.sha384, parts);

/** SHA-512 (FIPS 180-4) over the concatenated parts; 64 bytes. */
export const sha512 = (...parts: readonly Uint8Array[]): Uint8Array => digest(noble.sha512, parts);

/** SHA-256 as lower-case hex. */
export const sha256Hex = (bytes: Uint8Array): string => encodeHex(sha256(bytes));

/** As {@link sha256Hex}, over the UTF-8 bytes of a text. */
export const sha256HexOfText = (text: string): string => sha256Hex(new TextEncoder().encode(text));
