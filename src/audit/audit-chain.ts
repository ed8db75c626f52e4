import { concatBytes, utf8 } from '../bytes/concat.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { sha256 } from '../crypto/sha2.ts';

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
