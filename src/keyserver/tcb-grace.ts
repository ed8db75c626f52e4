import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { TdPolicy } from '../tdx/policy.ts';
import { applyPolicy } from '../tdx/policy.ts';
import { outOfDateStatuses } from '../tdx/tcb-status.ts';
import type { EvaluationNumbers, VerifiedQuote } from '../tdx/verify-quote.ts';

type Document = keyof EvaluationNumbers;

/**
 * Remembers when each TCB evaluation data number of each document was first seen, so that a grace can count from there:
 * Intel may publish TCB info and QE identity of one evaluation at different times.
 */
export class TcbGrace {
  readonly #firstSeenMs = new Map<string, number>();
  readonly #graceMs: number;

  /**
   * The memory starts empty with every process, and so do the keys: `create` has no grace, so a key that is recovered
   * within a grace was made by this process while its machine was up to date.
   */
  constructor(options: { readonly graceMs: number }) {
    this.#graceMs = options.graceMs;
  }

  observe({ tcbInfo, qeIdentity }: EvaluationNumbers, nowMs: number): void {
    for (const name of [nameOf('tcbInfo', tcbInfo), nameOf('qeIdentity', qeIdentity)]) {
      if (!this.#firstSeenMs.has(name)) this.#firstSeenMs.set(name, nowMs);
    }
  }

  /** Whether the grace since this number of this document was first seen is still running. */
  isRunning(document: Document, evaluationNumber: number, nowMs: number): boolean {
    const firstSeenMs = this.#firstSeenMs.get(nameOf(document, evaluationNumber));
    return firstSeenMs !== undefined && nowMs - firstSeenMs < this.#graceMs;
  }
}

const nameOf = (document: Document, evaluationNumber: number): string => `${document} ${evaluationNumber}`;

/** The documents by which a quote is out of date. */
const outdatingDocuments = ({ levels }: VerifiedQuote): readonly Document[] => {
  const { platform, tdxModule, quotingEnclave } = levels;
  const isCurrent = [platform, tdxModule].every(
    (level) => level === undefined || level.status === 'UpToDate',
  );
  return [
    ...(isCurrent ? [] : (['tcbInfo'] as const)),
    ...(quotingEnclave.status === 'UpToDate' ? [] : (['qeIdentity'] as const)),
  ];
};

/**
 * Whether a recovery may pass although the policy refuses it: the only fault is a TCB that was out of date at the launch,
 * and the TCB evaluation that says so is recent. A patch day must not lock nodes out of their disks.
 */
export function withinGrace(
  refusal: unknown,
  verified: VerifiedQuote,
  policy: TdPolicy,
  grace: TcbGrace,
  nowMs: number,
): boolean {
  if (!(refusal instanceof LatchkeyError) || refusal.code !== 'TCB_STATUS_REFUSED') return false;
  const status = outOfDateStatuses.find((candidate) => candidate === verified.tcbStatus);
  if (status === undefined) return false;
  const { evaluationNumbers } = verified.collateral;
  for (const document of outdatingDocuments(verified)) {
    if (!grace.isRunning(document, evaluationNumbers[document], nowMs)) return false;
  }
  // Everything else that the policy demands must still hold.
  applyPolicy(verified, { ...policy, acceptedTcbStatuses: [...policy.acceptedTcbStatuses, status] }, nowMs);
  return true;
}
