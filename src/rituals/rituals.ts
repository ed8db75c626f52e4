/**
 * `latchkey/rituals`: a node's decryption key fragments of many rituals on a sealed store, the conditions under which
 * they may be used, and typed records. docs/rituals.md
 */
export { SecretBytes } from '../bytes/secret-bytes.ts';
export { type ErrorCode, errorCodes } from '../errors/codes.ts';
export { EvidenceError, LatchkeyError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
export { type Conditions, type ConditionsGuardOptions, RitualConditions } from './conditions.ts';
export { Datastore, type DatastoreOptions, type ListOptions } from './datastore.ts';
export {
  backupDatastore,
  type DatastorePlaceOptions,
  type OpenDatastore,
  openDatastore,
  restoreDatastore,
  type StoreAccess,
} from './datastore-place.ts';
export type { DecryptionInputs } from './decryption-inputs.ts';
export {
  allGuards,
  allowed,
  expiryGuard,
  type Guard,
  type GuardAnswer,
  type GuardedRitual,
  type RitualOperation,
  refused,
} from './guard.ts';
export {
  type Fields,
  type FieldType,
  type FieldValues,
  type RecordId,
  type RecordType,
  type RecordValues,
  recordType,
} from './record-type.ts';
export type { FoundRecord, RecordQuery } from './record-view.ts';
export type { Ritual, RitualReference } from './ritual.ts';
export { backupRituals, exportRituals, restoreRituals } from './ritual-backup.ts';
export type { ActiveRitual, PhaseId, Validator } from './ritual-cache.ts';
export {
  type AppliedEvent,
  type EventPosition,
  type EventResult,
  eventTarget,
  followRitualEvents,
  parseRitualEvent,
  type RitualEvent,
  type RitualEventTarget,
  ritualEventsPosition,
} from './ritual-events.ts';
export type { Transaction, WritableRecord } from './transaction.ts';
