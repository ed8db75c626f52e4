import { concatBytes, equalBytes, utf8 } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import { sha256 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

const START_LABEL = utf8('latchkey/v1/audit-start');
const ENTRY_LABEL = utf8('latchkey/v1/audit-entry');
/** Bytes of a hash of the chain. */
export const AUDIT_HASH_BYTES = 32;

/** A place in an audit log: everything up to it is fixed by the hash. */
export interface AuditHead {
  /** Number of the last entry; 0 in an empty log. */
  readonly sequence: number;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/**
 * The head of the empty log of one store: SHA-256("latchkey/v1/audit-start" ‖ account ‖ store id). So no log continues
 * another one's.
 * @param storeId 16 bytes.
 */
export const startOfLog = (account: AccountId, storeId: Uint8Array): AuditHead => ({
  sequence: 0,
  hash: sha256(concatBytes(START_LABEL, account, storeId)),
});

/** The head after one more entry: SHA-256("latchkey/v1/audit-entry" ‖ hash before ‖ bytes of the entry). */
export const extend = ({ sequence, hash }: AuditHead, entry: Uint8Array): AuditHead => ({
  sequence: sequence + 1,
  hash: sha256(concatBytes(ENTRY_LABEL, hash, entry)),
});

/** Bytes of a head: u64 sequence ‖ hash. */
export const encodeHead = ({ sequence, hash }: AuditHead): Uint8Array =>
  concatBytes(u64BigEndian(sequence), hash);

/** Reads the bytes of a head. @throws EvidenceError AUDIT_ENTRY_INVALID. */
export function decodeHead(bytes: Uint8Array): AuditHead {
  if (bytes.length !== 8 + AUDIT_HASH_BYTES) throw invalid(`${bytes.length} bytes`);
  const sequence = Number(readU64BigEndian(bytes));
  if (!Number.isSafeInteger(sequence)) throw invalid('a number above 2^53');
  return { sequence, hash: copyBytes(bytes.subarray(8)) };
}

/** Whether two heads are the same place of the same log. */
export const sameHead = (a: AuditHead, b: AuditHead): boolean =>
  a.sequence === b.sequence && equalBytes(a.hash, b.hash);

const invalid = (observed: string): EvidenceError =>
  new EvidenceError('AUDIT_ENTRY_INVALID', `this is no head of an audit log: ${observed}`, {
    expected: `a number and a hash, ${8 + AUDIT_HASH_BYTES} bytes`,
    observed,
  });
