import { concatBytes, equalBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import type { RecordId } from '../bytes/fixed-bytes.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import type { RandomSource } from '../crypto/random.ts';
import { sha256 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import {
  decodeRecord,
  MAX_RECORD_BYTES,
  peekRecord,
  type SecretContent,
  type SecretRecord,
} from './record.ts';
import type { SignatureCheck } from './remember-signatures.ts';
import { secretId } from './scope.ts';

/** Most bytes of the value of a secret. */
export const MAX_VALUE_BYTES = 65_536;
/** Random bytes before the value, so that its hash tells nothing about it. */
export const SALT_BYTES = 32;
/** Most bytes of {@link encodeEntry}. */
export const MAX_ENTRY_BYTES = 4 + MAX_RECORD_BYTES + SALT_BYTES + MAX_VALUE_BYTES;

const LENGTH_BYTES = 4;

/** A record with what it names: salt ‖ value, nothing for a tombstone. */
export interface SecretEntry {
  readonly record: SecretRecord;
  readonly salted: SecretBytes;
}

/**
 * Puts a salt before a value.
 * @throws EvidenceError SECRET_TOO_LARGE.
 */
export function saltValue(value: Uint8Array, random: RandomSource): SecretBytes {
  if (value.length > MAX_VALUE_BYTES) throw tooLarge(value.length);
  return SecretBytes.adopt(concatBytes(random(SALT_BYTES), value));
}

/** SHA-256(salt ‖ value), as a record names it. */
export const hashValue = (salted: SecretBytes): Uint8Array => sha256(salted.reveal());

/** The value of an entry itself, without its salt; do not keep it. Empty for a tombstone. */
export const revealValue = ({ salted }: SecretEntry): Uint8Array => salted.reveal().subarray(SALT_BYTES);

/**
 * Joins a record with its value.
 * @throws EvidenceError SECRET_VALUE_MISMATCH, SECRET_TOO_LARGE.
 */
export function secretEntry(record: SecretRecord, salted: SecretBytes): SecretEntry {
  if (salted.length > SALT_BYTES + MAX_VALUE_BYTES) throw tooLarge(salted.length - SALT_BYTES);
  const { content } = record;
  const isNamed =
    content.kind === 'tombstone'
      ? salted.length === 0
      : salted.length >= SALT_BYTES && equalBytes(hashValue(salted), content.valueHash);
  if (isNamed) return { record, salted };
  throw new EvidenceError('SECRET_VALUE_MISMATCH', 'salt and value do not have the hash in the record', {
    field: 'value',
    expected: content.kind === 'secret' ? 'SHA-256(salt ‖ value) as signed' : 'no value for a tombstone',
  });
}

/** Bytes of an entry, secret for their second part: u32 length of the record ‖ record ‖ salt ‖ value. */
export function encodeEntry({ record, salted }: SecretEntry): Uint8Array {
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, record.bytes.length);
  return concatBytes(length, record.bytes, salted.reveal());
}

/**
 * Reads an entry, verifies the signature and compares the hash. The value is copied; the caller wipes its bytes.
 * @param isSigned as for `decodeRecord`.
 * @throws EvidenceError SECRET_RECORD_INVALID, SECRET_SIGNATURE_INVALID, SECRET_VALUE_MISMATCH, SECRET_TOO_LARGE.
 */
export function decodeEntry(bytes: Uint8Array, isSigned?: SignatureCheck): SecretEntry {
  if (bytes.length > MAX_ENTRY_BYTES) throw tooLarge(bytes.length);
  const record = recordBytesOf(bytes);
  const salted = bytes.subarray(LENGTH_BYTES + record.length);
  return secretEntry(decodeRecord(record, isSigned), new SecretBytes(salted));
}

/**
 * Reads the record of an entry without verifying its signature: only for entries that this node verified before.
 * @throws EvidenceError SECRET_RECORD_INVALID.
 */
export function peekEntry(bytes: Uint8Array): { readonly id: RecordId; readonly content: SecretContent } {
  const content = peekRecord(recordBytesOf(bytes));
  return { id: secretId(content.account, content), content };
}

/** The record in an entry, copied: all but salt and value. */
export function recordBytesOf(entry: Uint8Array): Uint8Array {
  const length = entry.length < LENGTH_BYTES ? 0 : new DataView(entry.buffer, entry.byteOffset).getUint32(0);
  return copyBytes(entry.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
}

const tooLarge = (observed: number): EvidenceError =>
  new EvidenceError('SECRET_TOO_LARGE', 'the value is too large', {
    field: 'value',
    expected: `at most ${MAX_VALUE_BYTES} bytes`,
    observed: `${observed} bytes`,
  });
