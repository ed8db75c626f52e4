import { RefusalError } from '../errors/latchkey-error.ts';
import { describeShortfalls } from './tcb-shortfall.ts';
import type { TcbStatus } from './tcb-status.ts';
import type { PolicyRule, TdPolicy } from './td-policy.ts';
import type { VerifiedQuote } from './verify-quote.ts';

const DAY_MS = 86_400_000;
const graceful: ReadonlySet<TcbStatus> = new Set(['OutOfDate', 'OutOfDateConfigurationNeeded']);

/** Rules on the TCB verdict. */
export const tcbRules: readonly PolicyRule[] = [
  {
    title: 'TCB is not revoked',
    check({ tcbStatus }) {
      if (tcbStatus !== 'Revoked') return;
      throw new RefusalError('TCB_REVOKED', 'TCB status: Intel has revoked this TCB', {
        field: 'tcbStatus',
        expected: 'any other status',
        observed: tcbStatus,
      });
    },
  },
  {
    title: 'TCB evaluation data number is not below the minimum',
    check({ tcbEvaluationDataNumber }, { minimumTcbEvaluationDataNumber }) {
      if (tcbEvaluationDataNumber >= minimumTcbEvaluationDataNumber) return;
      const message = `minimumTcbEvaluationDataNumber: collateral has ${tcbEvaluationDataNumber}`;
      throw new RefusalError('TCB_EVALUATION_TOO_OLD', message, {
        field: 'tcbEvaluationDataNumber',
        expected: `at least ${minimumTcbEvaluationDataNumber}`,
        observed: `${tcbEvaluationDataNumber}`,
      });
    },
  },
  { title: 'TCB status is accepted', check: requireAcceptedStatus },
  { title: 'no refused advisory applies', check: requireAcceptedAdvisories },
];

function requireAcceptedStatus(verified: VerifiedQuote, policy: TdPolicy, nowMs: number): void {
  const { tcbStatus, tcbDateMs, shortfalls } = verified;
  if (policy.acceptedTcbStatuses.some((accepted) => accepted === tcbStatus)) return;
  const graceEndMs = tcbDateMs + policy.tcbGraceDays * DAY_MS;
  if (policy.tcbGraceDays > 0 && graceful.has(tcbStatus) && nowMs <= graceEndMs) return;
  const short = shortfalls.length === 0 ? '' : `: ${describeShortfalls(shortfalls)}`;
  throw new RefusalError('TCB_STATUS_REFUSED', `acceptedTcbStatuses: the status is ${tcbStatus}${short}`, {
    field: 'tcbStatus',
    expected: policy.acceptedTcbStatuses.join(' or '),
    observed: `${tcbStatus}${short}`,
    hint: 'update the platform, or accept this status or a grace in the policy',
  });
}

function requireAcceptedAdvisories({ advisoryIds }: VerifiedQuote, policy: TdPolicy): void {
  const { acceptedAdvisoryIds, deniedAdvisoryIds } = policy;
  const refused = advisoryIds.filter(
    (id) => deniedAdvisoryIds.includes(id) || acceptedAdvisoryIds?.includes(id) === false,
  );
  if (refused.length === 0) return;
  const expected =
    acceptedAdvisoryIds === undefined ? 'none of the denied' : `only ${acceptedAdvisoryIds.join(', ')}`;
  const observed = refused.join(', ');
  throw new RefusalError('ADVISORY_REFUSED', `advisories: ${observed} apply and are refused`, {
    field: 'advisoryIds',
    expected,
    observed,
  });
}
