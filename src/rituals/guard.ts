import { requireInteger } from '../bytes/require-value.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { RefusalError } from '../errors/latchkey-error.ts';

/** The operations that a guard decides on. `cache` covers transactions, validators and active rituals. */
export type RitualOperation = 'store' | 'retrieve' | 'delete' | 'list' | 'cache';

/** The ritual that an operation concerns. */
export interface GuardedRitual {
  /** Absent when the operation concerns no single ritual (`list`). */
  readonly id: number | undefined;
  /** Unix time in seconds; absent when no such ritual is stored. */
  readonly timestamp: number | undefined;
}

/** A guard's answer. The reason reaches the caller, so it must contain no secret. */
export type GuardAnswer =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly because: Refusal; readonly reason: string };

type Refusal = 'unauthorized' | 'expired' | 'unpaid';

/**
 * Decides whether an operation is allowed. It is asked before anything is read or written for the caller, and before
 * the caller learns whether the ritual exists.
 */
export type Guard = (operation: RitualOperation, ritual: GuardedRitual) => GuardAnswer | Promise<GuardAnswer>;

/** The answer that allows an operation. */
export const allowed: GuardAnswer = { allowed: true };

/** The answer that refuses an operation. */
export const refused = (because: Refusal, reason: string): GuardAnswer => ({
  allowed: false,
  because,
  reason,
});

/** Asks the guards in order; the first refusal counts. */
export const allGuards =
  (...guards: readonly Guard[]): Guard =>
  async (operation, ritual) => {
    for (const guard of guards) {
      const verdict = await guard(operation, ritual);
      if (!verdict.allowed) return verdict;
    }
    return allowed;
  };

/**
 * Refuses to retrieve a fragment that is older than `lifetimeSeconds`. It can still be deleted.
 * @throws RangeError unless the lifetime is an integer from 0 to 2^53 - 1.
 */
export function expiryGuard(lifetimeSeconds: number, nowSeconds: () => number): Guard {
  requireInteger(lifetimeSeconds, 'lifetimeSeconds');
  return (operation, { timestamp }) =>
    operation === 'retrieve' && timestamp !== undefined && !(nowSeconds() < timestamp + lifetimeSeconds)
      ? refused('expired', `expired at ${timestamp + lifetimeSeconds}`)
      : allowed;
}

const codes: Readonly<Record<Refusal, ErrorCode>> = {
  unauthorized: 'RITUAL_UNAUTHORIZED',
  expired: 'RITUAL_EXPIRED',
  unpaid: 'RITUAL_UNPAID',
};

/**
 * Asks the guard, and returns only when it allows the operation.
 * @throws RefusalError RITUAL_UNAUTHORIZED, RITUAL_EXPIRED or RITUAL_UNPAID when the guard refuses.
 * @throws TypeError when its answer has another shape, such as `true` or `undefined`.
 */
export async function askGuard(
  guard: Guard | undefined,
  operation: RitualOperation,
  ritual: GuardedRitual,
): Promise<void> {
  if (guard === undefined) return;
  const answer: unknown = await guard(operation, ritual);
  requireAnswer(answer);
  if (answer.allowed) return;
  const subject = ritual.id === undefined ? 'rituals' : `ritual ${ritual.id}`;
  throw new RefusalError(codes[answer.because], `${operation} of ${subject} refused: ${answer.reason}`);
}

function requireAnswer(answer: unknown): asserts answer is GuardAnswer {
  const { allowed: permits, because } = isRecord(answer) ? answer : {};
  if (permits === true) return;
  if (permits === false && typeof because === 'string' && Object.hasOwn(codes, because)) return;
  throw new TypeError('a guard must answer {allowed: true}, or {allowed: false, because, reason}');
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
