import { requireBoolean, requireInteger } from '../bytes/require-value.ts';
import type { Namespace, Store } from '../store/api/store-api.ts';
import { allowed, type Guard, type GuardAnswer, type RitualOperation, refused } from './guard.ts';
import { fromRecordJson, toRecordJson } from './record-json.ts';
import { idText } from './ritual.ts';

/** Under which conditions a ritual may be used. A member that is absent is not stated. */
export interface Conditions {
  /** False: every operation on it is refused. */
  readonly authorized?: boolean;
  /** False: it can neither be stored nor retrieved. */
  readonly paid?: boolean;
  /** Unix time in seconds from which it can neither be stored nor retrieved. */
  readonly expiresAt?: number;
}

/** How a guard treats conditions that are not stated. */
export interface ConditionsGuardOptions {
  /**
   * False, the default: a condition that is not stated counts as met, and a ritual without conditions may be used.
   * True: only what is stated counts. Each operation needs `authorized: true`; storing and retrieving also need
   * `paid: true` and an `expiresAt` in the future.
   */
  readonly requireConditions?: boolean;
}

const CONDITIONS = 'rituals/conditions';

/** Conditions as stored data: what the chain says about a ritual, written by the program that follows the chain. */
export class RitualConditions {
  readonly #space: Namespace;

  private constructor(space: Namespace) {
    this.#space = space;
  }

  static async open(store: Store): Promise<RitualConditions> {
    return new RitualConditions(await store.namespace(CONDITIONS));
  }

  /**
   * Replaces the conditions of a ritual, whether or not a fragment is stored; durable when it resolves.
   * @throws TypeError for an unknown condition or a value of another type, RangeError for a time that is no integer.
   */
  async set(id: number, conditions: Conditions): Promise<void> {
    const checked = checkedConditions(conditions);
    await this.#space.put(idText(id), toRecordJson(checked));
  }

  async get(id: number): Promise<Conditions | undefined> {
    const bytes = await this.#space.get(idText(id));
    return bytes === undefined ? undefined : fromRecordJson<Conditions>(bytes);
  }

  /** Removes the conditions; false where there are none. */
  async remove(id: number): Promise<boolean> {
    return (await this.#space.delete(idText(id))) !== undefined;
  }

  /** A guard that refuses what the stored conditions do not allow. Rituals may always be listed. */
  guard(nowSeconds: () => number, { requireConditions = false }: ConditionsGuardOptions = {}): Guard {
    requireBoolean(requireConditions, 'requireConditions');
    const judge = requireConditions ? judgeStrictly : judgeStated;
    return async (operation, { id }) =>
      id === undefined ? allowed : judge(operation, (await this.get(id)) ?? {}, nowSeconds());
  }
}

/** Deleting must stay possible for a ritual that has expired or is not paid for. */
const needsOnlyAuthorization = (operation: RitualOperation): boolean =>
  operation === 'delete' || operation === 'cache';

function judgeStated(
  operation: RitualOperation,
  { authorized, paid, expiresAt }: Conditions,
  now: number,
): GuardAnswer {
  if (authorized === false) return refused('unauthorized', 'it is not authorized');
  if (needsOnlyAuthorization(operation)) return allowed;
  // Written so that a clock that gives no number refuses.
  if (expiresAt !== undefined && !(now < expiresAt)) return refused('expired', `expired at ${expiresAt}`);
  return paid === false ? refused('unpaid', 'it is not paid for') : allowed;
}

function judgeStrictly(operation: RitualOperation, conditions: Conditions, now: number): GuardAnswer {
  const { authorized, paid, expiresAt } = conditions;
  if (authorized !== true) return refused('unauthorized', 'no condition says that it is authorized');
  if (needsOnlyAuthorization(operation)) return allowed;
  if (expiresAt === undefined) return refused('expired', 'no condition says when it expires');
  if (paid === undefined) return refused('unpaid', 'no condition says that it is paid for');
  return judgeStated(operation, conditions, now);
}

/** A misspelt condition, or one of another type, must not count as met. */
function checkedConditions(given: Conditions): Conditions {
  const { authorized, paid, expiresAt, ...unknown } = given;
  const [name] = Object.keys(unknown);
  if (name !== undefined)
    throw new TypeError(
      `unknown condition ${JSON.stringify(name)}: one of authorized, paid, expiresAt expected`,
    );
  for (const [field, value] of Object.entries({ authorized, paid })) {
    if (value !== undefined) requireBoolean(value, field);
  }
  if (expiresAt !== undefined) requireInteger(expiresAt, 'expiresAt');
  return {
    ...(authorized === undefined ? {} : { authorized }),
    ...(paid === undefined ? {} : { paid }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}
