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
 * @throws EvidenceError SECRET_VERSION_OLD, also for another record of the present version: whoever wrote it has to see
 *   first what it would replace. RefusalError SECRET_EXPIRED for a record that has expired already.
 */
export function judgeReplacement(
  record: SecretRecord,
  present: SecretRecord | undefined,
  nowMs: number,
): void {
  if (record.content.expiresAtMs <= nowMs)
    throw new RefusalError('SECRET_EXPIRED', 'the record has expired', { field: 'expiresAtMs' });
  if (present === undefined || record.content.version > present.content.version) return;
  // The same record once more is a retry whose answer was lost.
  if (compareRecords(record, present) === 0) return;
  throw new EvidenceError('SECRET_VERSION_OLD', 'a record of this version or a newer one is stored', {
    field: 'version',
    expected: `more than ${present.content.version}`,
    observed: `${record.content.version}`,
  });
}

/**
 * Decides whether a user may have one more record, or a larger one.
 * @param present what the user has without the record that is replaced.
 * @throws RefusalError SECRET_QUOTA.
 */
export function judgeQuota(present: Holdings, entryBytes: number, quota: Holdings = defaultQuota): void {
  const after = { records: present.records + 1, bytes: present.bytes + entryBytes };
  if (after.records <= quota.records && after.bytes <= quota.bytes) return;
  throw new RefusalError('SECRET_QUOTA', 'the user has no room for this record', {
    expected: `at most ${quota.records} records and ${quota.bytes} bytes`,
    observed: `${after.records} records and ${after.bytes} bytes`,
    hint: 'delete a secret, or make one smaller',
  });
}
