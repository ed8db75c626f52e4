import type { RecordFormat } from '../ring/replication/entry.ts';
import type { SignatureCheck } from './remember-signatures.ts';
import { decodeEntry } from './value.ts';

/**
 * Secrets as records of the ring: each node checks the signature of the user and the hash of the value itself.
 * @param isSigned as for `decodeRecord`.
 */
export const secretFormatBy = (isSigned?: SignatureCheck): RecordFormat => ({
  read(bytes) {
    const { record, salted } = decodeEntry(bytes, isSigned);
    salted.wipe();
    const { id, order, content } = record;
    return { id, order, expiresAtMs: content.expiresAtMs, bytes };
  },
});

/** Verifies every signature each time. */
export const secretFormat: RecordFormat = secretFormatBy();
