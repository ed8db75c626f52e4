import { EvidenceError, RefusalError } from '../errors/latchkey-error.ts';
import { compareRecords, type SecretRecord } from './record.ts';

/** What a user's secrets take up; tombstones count too, until they expire. */
export interface Holdings {
  readonly records: number;
  readonly bytes: number;
}

/** What each user may have. */
export const defaultQuota: Holdings = { records: 64, bytes: 1024 * 1024 };

/**
 * Decides whether a record replaces the present one.
 * @throws EvidenceError SECRET_VERSION_OLD, also for another record of the present version: its user has to see first
 *   what it would replace; SECRET_RECORD_INVALID for one that expires before the record which it replaces.
 *   RefusalError SECRET_EXPIRED for a record that has expired already.
 */
export function judgeReplacement(
  record: SecretRecord,
  present: SecretRecord | undefined,
  nowMs: number,
): void {
  if (record.content.expiresAtMs <= nowMs)
    throw new RefusalError('SECRET_EXPIRED', 'the record has expired', { field: 'expiresAtMs' });
  if (present === undefined) return;
  if (record.content.version > present.content.version) {
    requireLongerLife(record, present);
    return;
  }
  // The same record once more is a retry after a lost answer.
  if (compareRecords(record, present) === 0) return;
  throw new EvidenceError('SECRET_VERSION_OLD', 'a record of this version or a newer one is stored', {
    field: 'version',
    expected: `more than ${present.content.version}`,
    observed: `${record.content.version}`,
  });
}

/**
 * No record of an id expires before an older one. So when a record is thrown away long after its expiry, every older one
 * has expired too: one that a member or a backup still has cannot come back as a secret.
 */
function requireLongerLife({ content }: SecretRecord, present: SecretRecord): void {
  if (content.expiresAtMs >= present.content.expiresAtMs) return;
  const what = content.kind === 'tombstone' ? 'the deletion' : 'the record';
  throw new EvidenceError('SECRET_RECORD_INVALID', `${what} expires before the one that it replaces`, {
    field: 'expiresAtMs',
    expected: `${present.content.expiresAtMs} or later`,
    observed: `${content.expiresAtMs}`,
    hint: 'expiresAtMs of the ACL ends the use of a secret earlier',
  });
}

/** Whether a user has room for a record. @param present without the record that is replaced. */
export const fitsQuota = (present: Holdings, entryBytes: number, quota: Holdings): boolean =>
  present.records < quota.records && present.bytes + entryBytes <= quota.bytes;

/**
 * Decides whether a user may have one more record, or a larger one.
 * @param present what the user has without the record that is replaced.
 * @throws RefusalError SECRET_QUOTA.
 */
export function judgeQuota(present: Holdings, entryBytes: number, quota: Holdings = defaultQuota): void {
  if (fitsQuota(present, entryBytes, quota)) return;
  const after = { records: present.records + 1, bytes: present.bytes + entryBytes };
  throw new RefusalError('SECRET_QUOTA', 'the user has no room for this record', {
    expected: `at most ${quota.records} records and ${quota.bytes} bytes`,
    observed: `${after.records} records and ${after.bytes} bytes`,
    hint: 'delete a secret, or make one smaller',
  });
}
