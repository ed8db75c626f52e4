import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { TdPolicy } from '../tdx/policy.ts';
import { applyPolicy } from '../tdx/policy.ts';
import type { VerifiedQuote } from '../tdx/verify-quote.ts';

/** Remembers when each TCB evaluation data number was first seen, so that a grace can count from there. */
export class TcbGrace {
  readonly #firstSeenMs = new Map<number, number>();
  readonly #graceMs: number;

  /**
   * The memory starts empty with every process, and so do the keys: `create` has no grace, so a key that is recovered
   * within a grace was made by this process while its machine was up to date.
   */
  constructor(options: { readonly graceMs: number }) {
    this.#graceMs = options.graceMs;
  }

  observe(evaluationNumber: number, nowMs: number): void {
    if (this.#firstSeenMs.has(evaluationNumber)) return;
    this.#firstSeenMs.set(evaluationNumber, nowMs);
  }

  /** Whether the grace since this number was first seen is still running. */
  isRunning(evaluationNumber: number, nowMs: number): boolean {
    const firstSeenMs = this.#firstSeenMs.get(evaluationNumber);
    return firstSeenMs !== undefined && nowMs - firstSeenMs < this.#graceMs;
  }
}

const outOfDate = ['OutOfDate', 'OutOfDateConfigurationNeeded'] as const;

/**
 * Whether a recovery may pass although the policy refuses it: the only fault is an out-of-date TCB, and
 * the TCB evaluation that says so is recent. A patch day must not lock nodes out of their disks.
 */
export function withinGrace(
  refusal: unknown,
  verified: VerifiedQuote,
  policy: TdPolicy,
  grace: TcbGrace,
  nowMs: number,
): boolean {
  if (!(refusal instanceof LatchkeyError) || refusal.code !== 'TCB_STATUS_REFUSED') return false;
  const status = outOfDate.find((candidate) => candidate === verified.tcbStatus);
  if (status === undefined) return false;
  if (!grace.isRunning(verified.tcbEvaluationDataNumber, nowMs)) return false;
  // Everything else that the policy demands must still hold.
  applyPolicy(verified, { ...policy, acceptedTcbStatuses: [...policy.acceptedTcbStatuses, status] }, nowMs);
  return true;
}
