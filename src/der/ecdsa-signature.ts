import { concatBytes } from '../bytes/concat.ts';
import type { DerReader } from './der-reader.ts';

const SCALAR_BYTES = 32;

/**
 * Reads an ECDSA-Sig-Value (RFC 5480 appendix A) of P-256.
 * @returns r ‖ s, 64 bytes.
 */
export function readEcdsaSignature(reader: DerReader): Uint8Array {
  const sequence = reader.enter();
  const r = readScalar(sequence);
  const s = readScalar(sequence);
  sequence.end();
  return concatBytes(r, s);
}

function readScalar(reader: DerReader): Uint8Array {
  const bytes = reader.unsignedInteger();
  if (bytes.length > SCALAR_BYTES)
    reader.fail(`a scalar of at most ${SCALAR_BYTES} bytes`, `${bytes.length} bytes`);
  const padded = new Uint8Array(SCALAR_BYTES);
  padded.set(bytes, SCALAR_BYTES - bytes.length);
  return padded;
}
