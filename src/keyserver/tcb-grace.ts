import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { TdPolicy } from '../tdx/policy.ts';
import { applyPolicy } from '../tdx/policy.ts';
import type { VerifiedQuote } from '../tdx/verify-quote.ts';

/** Remembers when each TCB evaluation data number was first seen, so that a grace can count from there. */
export class TcbGrace {
  readonly #firstSeenMs = new Map<number, number>();
  readonly #graceMs: number;
  readonly #onNew: (evaluationNumber: number, firstSeenMs: number) => void;

  /**
   * @param options.known what an earlier start saw: number and milliseconds since 1970.
   * @param options.onNew told of each number that is new, to keep it across restarts.
   */
  constructor(options: {
    readonly graceMs: number;
    readonly known?: Iterable<readonly [number, number]>;
    readonly onNew?: (evaluationNumber: number, firstSeenMs: number) => void;
  }) {
    this.#graceMs = options.graceMs;
    this.#onNew = options.onNew ?? (() => undefined);
    for (const [number, firstSeenMs] of options.known ?? []) this.#firstSeenMs.set(number, firstSeenMs);
  }

  observe(evaluationNumber: number, nowMs: number): void {
    if (this.#firstSeenMs.has(evaluationNumber)) return;
    this.#firstSeenMs.set(evaluationNumber, nowMs);
    this.#onNew(evaluationNumber, nowMs);
  }

  /** Whether the grace since this number was first seen is still running. */
  isRunning(evaluationNumber: number, nowMs: number): boolean {
    const firstSeenMs = this.#firstSeenMs.get(evaluationNumber);
    return firstSeenMs !== undefined && nowMs - firstSeenMs < this.#graceMs;
  }
}

const outOfDate = ['OutOfDate', 'OutOfDateConfigurationNeeded'] as const;

/**
 * Whether a recovery may pass although the policy refuses it: the only fault is that its TCB is out of date, and the
 * evaluation that made it so is young. Patch days must not lock nodes out of their disks.
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
