import { toBase64 } from '../bytes/base64.ts';
import { concatBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import { ProblemError } from '../errors/latchkey-error.ts';

/** An oracle's answer for one ciphertext. */
export interface Decryption {
  /** An unsigned integer of 64 bits. */
  readonly value: bigint;
  /** The oracle's signature, of any length; not interpreted. */
  readonly signature: Uint8Array;
}

/** A decryption in the form in which it is stored. */
export interface StoredDecryption extends Decryption {
  /** When it was put, in milliseconds since 1970. */
  readonly storedAtMs: number;
}

const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;
const VALUE_BYTES = 8;
const LENGTH_BYTES = 8;
const TIME_BYTES = 8;

/**
 * A copy that the caller cannot change any more.
 * @throws TypeError unless `value` is a bigint and `signature` bytes, RangeError for a value of more than 64 bits.
 */
export function copyDecryption({ value, signature }: Decryption): Decryption {
  if (typeof value !== 'bigint') throw new TypeError(`value must be a bigint, got ${typeof value}`);
  if (value < 0n || value > MAX_UINT64) throw new RangeError('value must be an integer from 0 to 2^64 - 1');
  return { value, signature: copyBytes(signature, 'signature') };
}

function u64LittleEndian(value: bigint): Uint8Array {
  return u64BigEndian(value).reverse();
}

/** The original's bytes: bincode 1.3, u64 value ‖ u64 length ‖ signature, little-endian. */
export function encodeDecryption({ value, signature }: Decryption): Uint8Array {
  return concatBytes(u64LittleEndian(value), u64LittleEndian(BigInt(signature.length)), signature);
}

/**
 * Reads the bytes of {@link encodeDecryption}.
 * @throws ProblemError DECRYPTION_RECORD_DAMAGED for anything else.
 */
export function decodeDecryption(bytes: Uint8Array): Decryption {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const signature = bytes.subarray(VALUE_BYTES + LENGTH_BYTES);
  if (bytes.length < VALUE_BYTES + LENGTH_BYTES || view.getBigUint64(8, true) !== BigInt(signature.length)) {
    throw new ProblemError('DECRYPTION_RECORD_DAMAGED', `a stored decryption of ${bytes.length} bytes`);
  }
  return { value: view.getBigUint64(0, true), signature: copyBytes(signature) };
}

/** Bytes in the store: u64 big-endian time in milliseconds ‖ {@link encodeDecryption}. */
export const encodeStored = (stored: StoredDecryption): Uint8Array =>
  concatBytes(u64BigEndian(stored.storedAtMs), encodeDecryption(stored));

/**
 * Reads the bytes of {@link encodeStored}.
 * @throws ProblemError DECRYPTION_RECORD_DAMAGED for anything else.
 */
export function decodeStored(bytes: Uint8Array): StoredDecryption {
  if (bytes.length < TIME_BYTES) throw new ProblemError('DECRYPTION_RECORD_DAMAGED', 'no time in the record');
  return { ...decodeDecryption(bytes.subarray(TIME_BYTES)), storedAtMs: Number(readU64BigEndian(bytes)) };
}

/** The JSON text of an answer, byte for byte the original's; the value is written as a bare integer of any size. */
export const decryptionJson = ({ value, signature }: Decryption): string =>
  `{"value":${value},"signature":"${toBase64(signature)}"}`;
