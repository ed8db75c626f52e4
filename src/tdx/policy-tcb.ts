import { RefusalError } from '../errors/latchkey-error.ts';
import type { VerifiedQuote } from './quote-verifier.ts';
import { describeShortfalls } from './tcb-shortfall.ts';
import { outOfDateStatuses, type TcbStatus } from './tcb-status.ts';
import type { PolicyRule, TdPolicy } from './td-policy.ts';

const DAY_MS = 86_400_000;
const relaunch: ReadonlySet<TcbStatus> = new Set([
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
]);
const graceful: ReadonlySet<TcbStatus> = new Set(outOfDateStatuses);

/** Rules on the TCB verdict. */
export const tcbRules: readonly PolicyRule[] = [
  {
    title: 'TCB is not revoked',
    check(verified) {
      requireNotRevoked('tcbStatus', verified);
      if (verified.currentTcb !== undefined) requireNotRevoked('currentTcb.tcbStatus', verified.currentTcb);
    },
  },
  {
    title: 'TCB evaluation data number is not below the minimum',
    check({ tcbEvaluationDataNumber }, { minimumTcbEvaluationDataNumber }) {
      if (tcbEvaluationDataNumber >= minimumTcbEvaluationDataNumber) return;
      const expected = `at least ${minimumTcbEvaluationDataNumber}`;
      const observed = `${tcbEvaluationDataNumber}`;
      const message = `minimumTcbEvaluationDataNumber: the number must be ${expected}, got ${observed}`;
      throw new RefusalError('TCB_EVALUATION_TOO_OLD', message, {
        field: 'tcbEvaluationDataNumber',
        expected,
        observed,
      });
    },
  },
  {
    title: 'TCB status is accepted',
    check(verified, policy, nowMs) {
      requireAcceptedStatus('tcbStatus', verified, policy, nowMs);
    },
  },
  {
    title: 'the status of the TCB that is loaded now is accepted too',
    check({ tcbStatus, currentTcb }, policy, nowMs) {
      // Intel's relaunch rule has taken the current TCB into account already.
      if (currentTcb === undefined || relaunch.has(tcbStatus)) return;
      requireAcceptedStatus('currentTcb.tcbStatus', currentTcb, policy, nowMs);
    },
  },
  { title: 'no refused advisory applies', check: requireAcceptedAdvisories },
];

/** What the rules on the status need of a verdict. */
type Judged = Pick<VerifiedQuote, 'tcbStatus' | 'tcbDateMs' | 'levels' | 'shortfalls'>;

function requireNotRevoked(field: string, { tcbStatus, levels, shortfalls }: Judged): void {
  if (tcbStatus !== 'Revoked') return;
  const observed = `${tcbStatus} (${revokedParts(levels)})${shortOf(shortfalls)}`;
  throw new RefusalError('TCB_REVOKED', `revoked: ${field} must be any other, got ${observed}`, {
    field,
    expected: 'any other status',
    observed,
    hint: 'update the platform; no policy accepts a revoked TCB',
  });
}

function requireAcceptedStatus(
  field: string,
  { tcbStatus, tcbDateMs, shortfalls }: Judged,
  policy: TdPolicy,
  nowMs: number,
): void {
  if (policy.acceptedTcbStatuses.some((accepted) => accepted === tcbStatus)) return;
  const hasGrace = policy.tcbGraceDays > 0 && graceful.has(tcbStatus);
  const graceEndMs = tcbDateMs + policy.tcbGraceDays * DAY_MS;
  if (hasGrace && nowMs <= graceEndMs) return;
  const grace = hasGrace ? [`${tcbStatus} until ${isoDay(graceEndMs)}`] : [];
  const expected = alternatives([...policy.acceptedTcbStatuses, ...grace]);
  const observed = `${tcbStatus}${shortOf(shortfalls)}`;
  throw new RefusalError(
    'TCB_STATUS_REFUSED',
    `acceptedTcbStatuses: ${field} must be ${expected}, got ${observed}`,
    {
      field,
      expected,
      observed,
      hint: 'update the platform, or accept this status or a grace in the policy',
    },
  );
}

const shortOf = (shortfalls: VerifiedQuote['shortfalls']): string =>
  shortfalls.length === 0 ? '' : `: ${describeShortfalls(shortfalls)}`;

/** Which of the three reached levels Intel has revoked. */
function revokedParts({ platform, tdxModule, quotingEnclave }: VerifiedQuote['levels']): string {
  const parts = { platform, 'TDX module': tdxModule, 'quoting enclave': quotingEnclave };
  return Object.entries(parts)
    .flatMap(([part, level]) =>
      level?.status === 'Revoked' ? [`${part}, level of ${isoDay(level.tcbDateMs)}`] : [],
    )
    .join(' and ');
}

function requireAcceptedAdvisories(
  { advisoryIds: ofLaunch, currentTcb }: VerifiedQuote,
  policy: TdPolicy,
): void {
  const advisoryIds = [...new Set([...ofLaunch, ...(currentTcb?.advisoryIds ?? [])])];
  const { acceptedAdvisoryIds: accepted, deniedAdvisoryIds: denied } = policy;
  const isDenied = (id: string): boolean => denied.includes(id);
  refuseAdvisories('deniedAdvisoryIds', `none of ${denied.join(', ')}`, advisoryIds.filter(isDenied));
  if (accepted === undefined) return;
  const isUnknown = (id: string): boolean => !accepted.includes(id);
  refuseAdvisories('acceptedAdvisoryIds', `only ${alternatives(accepted)}`, advisoryIds.filter(isUnknown));
}

function refuseAdvisories(rule: string, expected: string, refused: readonly string[]): void {
  if (refused.length === 0) return;
  const observed = refused.join(', ');
  throw new RefusalError('ADVISORY_REFUSED', `${rule}: ${expected} may apply, got ${observed}`, {
    field: 'advisoryIds',
    expected,
    observed,
  });
}

const alternatives = (values: readonly string[]): string => values.join(' or ') || 'none at all';

const isoDay = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 10);
