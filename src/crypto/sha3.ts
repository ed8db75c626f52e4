import { createHash } from 'node:crypto';
import { plainBytes } from './plain-bytes.ts';

/** SHA3-256 (FIPS 202) over the concatenated parts; 32 bytes. */
export function sha3With256(...parts: readonly Uint8Array[]): Uint8Array {
  const stream = createHash('sha3-256');
  for (const part of parts) stream.update(part);
  return plainBytes(stream.digest());
}

/** SHAKE256 (FIPS 202): `length` bytes from one input. */
export function shake256(input: Uint8Array, length: number): Uint8Array {
  return plainBytes(createHash('shake256', { outputLength: length }).update(input).digest());
}
