import type { VerifiedQuote } from './quote-verifier.ts';
import type { TcbStatus } from './tcb-status.ts';
import type { TdReportExtension } from './td-report.ts';

/** Measured fields that a policy can pin to allow lists. */
export const measurementFields = [
  'mrSeam',
  'mrTd',
  'rtMr0',
  'rtMr1',
  'rtMr2',
  'rtMr3',
  'mrConfigId',
  'mrOwner',
  'mrOwnerConfig',
  'reportData',
] as const;
export type MeasurementField = (typeof measurementFields)[number];

/** The rules for accepting genuine quotes. The file format is its JSON, every field optional; see docs. */
export interface TdPolicy {
  /** Default: only UpToDate. Revoked is never acceptable. */
  readonly acceptedTcbStatuses: readonly Exclude<TcbStatus, 'Revoked'>[];
  /** Days after the TCB level's `tcbDate` in which OutOfDate and OutOfDateConfigurationNeeded pass too; default 0. */
  readonly tcbGraceDays: number;
  /** When given, every advisory that applies must be in it. */
  readonly acceptedAdvisoryIds: readonly string[] | undefined;
  /** None of these may apply. */
  readonly deniedAdvisoryIds: readonly string[];
  /** Default 0. */
  readonly minimumTcbEvaluationDataNumber: number;
  /** Default true. */
  readonly requireSeptVeDisable: boolean;
  /** Default true. */
  readonly allowPks: boolean;
  /** Default true. */
  readonly allowPerfmon: boolean;
  /** Default false. */
  readonly allowKl: boolean;
  /** Whether TDs may be migratable: their memory may leave the platform that the quote is about. Default false. */
  readonly allowMigratable: boolean;
  /** Further attribute bits that may be set; never bits 0 to 7, and MIGRATABLE by its own field only. Default none. */
  readonly extraTdAttributes: bigint;
  /** XFAM bits that must be set. */
  readonly requiredXfam: bigint;
  /** XFAM bits that may be set. */
  readonly allowedXfam: bigint;
  /** Acceptable values of MRSERVICETD; default: only zero, no service TD. */
  readonly mrServiceTd: readonly Uint8Array[];
  /**
   * What the fields of an extended TD report 1.5 may be: for each field an allow list, or any value. By default
   * extended reports are refused, since the policy then has no rule for their fields.
   */
  readonly extendedReport: ExtendedReportPolicy | undefined;
  /** Allow lists; a field that is not in it may have any value. */
  readonly measurements: ReadonlyMap<MeasurementField, readonly Uint8Array[]>;
}

/** A rule for every field of an extended TD report. */
export type ExtendedReportPolicy = Readonly<Record<keyof TdReportExtension, readonly Uint8Array[] | 'any'>>;

/** One rule: throws a RefusalError that names the rule, the field, what was expected and what was observed. */
export interface PolicyRule {
  /** For reports, such as "TD debug is off". */
  readonly title: string;
  check(verified: VerifiedQuote, policy: TdPolicy, nowMs: number): void;
}
