import type { ErrorCode } from '../errors/codes.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { CollateralDocuments } from './collateral.ts';
import type { EvaluationNumbers } from './collateral-summary.ts';
import { applyPolicy } from './policy.ts';
import type { Quote } from './quote.ts';
import type { QuoteVerifier, VerifiedQuote } from './quote-verifier.ts';
import type { TcbShortfall } from './tcb-shortfall.ts';
import { outOfDateStatuses, type TcbStatus } from './tcb-status.ts';
import type { TdPolicy } from './td-policy.ts';

const DAY_MS = 86_400_000;

/**
 * Intel's services answer `update=standard` with a TCB evaluation about 12 months after `update=early`, which follows
 * the day on which the fixes are published (Intel’s community note 1684877, "PCS Changes").
 */
export const STANDARD_DELAY_MS = 365 * DAY_MS;

/** The refusal of a quote that comes when the early collateral becomes the standard one. */
export interface EarlyWarning {
  /** Code of the refusal, such as `TCB_STATUS_REFUSED`. */
  readonly code: ErrorCode;
  readonly message: string;
  /**
   * Estimated time of the first refusal, never before now; `undefined` when it is unknown. For a quote that the standard
   * collateral refuses today, it is now.
   */
  readonly refusedFromMs: number | undefined;
  /** `undefined` when the TCB is below every level. */
  readonly tcbStatus: TcbStatus | undefined;
  /** Which component of which level is short; empty when the status has another reason. */
  readonly shortfalls: readonly TcbShortfall[];
  /** Of the collateral that refuses. */
  readonly evaluationNumbers: EvaluationNumbers;
}

/** Refusals that a later TCB evaluation can cause for a quote that an earlier one accepts. */
const tcbCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'TCB_NOT_SUPPORTED',
  'TDX_MODULE_MISMATCH',
  'TCB_REVOKED',
  'TCB_STATUS_REFUSED',
  'ADVISORY_REFUSED',
]);

/** The input of an early warning. */
export interface EarlyWarningInput {
  readonly verifier: QuoteVerifier;
  readonly quote: Quote;
  /** The collateral of `update=early`, or of a given evaluation number. */
  readonly early: CollateralDocuments;
  /** The collateral that counts today. */
  readonly standard: CollateralDocuments;
  readonly policy: TdPolicy;
  readonly nowMs: number;
  /** For both sets; default 0. */
  readonly collateralGraceMs?: number;
}

/**
 * Judges a quote by early collateral.
 * @returns the coming refusal, or `undefined` when there is none.
 * @throws LatchkeyError when the quote or a set is bad for a reason that has nothing to do with the TCB.
 */
export function foreseeRefusal(input: EarlyWarningInput): EarlyWarning | undefined {
  // A grace of the policy only delays the refusal.
  const refusal = refusalBy(input, input.early, { ...input.policy, tcbGraceDays: 0 });
  if (refusal === undefined) return undefined;
  const { error, verdict, tcbStatus } = refusal;
  const isRefusedToday = refusalBy(input, input.standard, input.policy) !== undefined;
  const fromMs = isRefusedToday ? input.nowMs : refusedFromMs(error, verdict, input.policy);
  return {
    code: error.code,
    message: error.message,
    refusedFromMs: fromMs === undefined ? undefined : Math.max(fromMs, input.nowMs),
    tcbStatus,
    shortfalls: verdict?.shortfalls ?? [],
    evaluationNumbers: input.verifier.checkCollateral(input.early, input).evaluationNumbers,
  };
}

/** A refusal with the part of the verdict that caused it; without a verdict when the TCB is below every level. */
interface Refusal {
  readonly error: LatchkeyError;
  readonly verdict: QuoteVerdict | undefined;
  readonly tcbStatus: TcbStatus | undefined;
}

type QuoteVerdict = Pick<VerifiedQuote, 'tcbStatus' | 'tcbDateMs' | 'shortfalls' | 'outOfDateSinceMs'>;

function refusalBy(
  { verifier, quote, nowMs, collateralGraceMs = 0 }: EarlyWarningInput,
  collateral: CollateralDocuments,
  policy: TdPolicy,
): Refusal | undefined {
  let verified: VerifiedQuote | undefined;
  try {
    verified = verifier.verify(quote, { collateral, nowMs, collateralGraceMs });
    applyPolicy(verified, policy, nowMs);
    return undefined;
  } catch (error) {
    if (!(error instanceof LatchkeyError) || !tcbCodes.has(error.code)) throw error;
    const isAboutCurrent = error.field === 'currentTcb.tcbStatus';
    return {
      error,
      verdict: isAboutCurrent ? verified?.currentTcb : verified,
      tcbStatus: verified?.tcbStatus,
    };
  }
}

const graceful: ReadonlySet<TcbStatus> = new Set(outOfDateStatuses);

/** The time at which the standard collateral has the early levels and the policy's grace is over. */
function refusedFromMs(
  { code }: LatchkeyError,
  verdict: QuoteVerdict | undefined,
  { tcbGraceDays }: TdPolicy,
): number | undefined {
  if (verdict?.outOfDateSinceMs === undefined) return undefined;
  const standardFromMs = verdict.outOfDateSinceMs + STANDARD_DELAY_MS;
  const hasGrace = code === 'TCB_STATUS_REFUSED' && graceful.has(verdict.tcbStatus);
  return hasGrace ? Math.max(standardFromMs, verdict.tcbDateMs + tcbGraceDays * DAY_MS) : standardFromMs;
}

/** A warning in one sentence. */
export const describeWarning = ({ code, message, refusedFromMs: fromMs }: EarlyWarning): string =>
  `refused ${describeFrom(fromMs)}: ${code}: ${message}`;

/** The day of a warning, in words. */
export const describeFrom = (fromMs: number | undefined): string =>
  fromMs === undefined
    ? 'once this TCB evaluation is the standard one'
    : `from about ${new Date(fromMs).toISOString().slice(0, 10)}`;
