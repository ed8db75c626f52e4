import type { Namespace, Store } from '../store/api/store-api.ts';
import { allowed, type Guard, type RitualOperation, refused, type GuardAnswer } from './guard.ts';
import { fromRecordJson, toRecordJson } from './record-json.ts';
import { idText, requireInteger } from './ritual.ts';

/** Under which conditions a ritual may be used; what is absent is no condition. */
export interface Conditions {
  /** False: nobody may do anything with it. */
  readonly authorized?: boolean;
  /** False: it can neither be stored nor retrieved. */
  readonly paid?: boolean;
  /** Unix time in seconds from which it can neither be stored nor retrieved. */
  readonly expiresAt?: number;
}

const CONDITIONS = 'rituals/conditions';

/** Conditions as stored data: what the chain said of a ritual, kept by whoever watches it, and a guard that heeds it. */
export class RitualConditions {
  readonly #space: Namespace;

  private constructor(space: Namespace) {
    this.#space = space;
  }

  static async open(store: Store): Promise<RitualConditions> {
    return new RitualConditions(await store.namespace(CONDITIONS));
  }

  /** Replaces the conditions of a ritual, whether or not a fragment is stored; durable when it resolves. */
  async set(id: number, conditions: Conditions): Promise<void> {
    if (conditions.expiresAt !== undefined) requireInteger(conditions.expiresAt, 'expiresAt');
    const { authorized, paid, expiresAt } = conditions;
    await this.#space.put(idText(id), toRecordJson({ authorized, paid, expiresAt }));
  }

  async get(id: number): Promise<Conditions | undefined> {
    const bytes = await this.#space.get(idText(id));
    return bytes === undefined ? undefined : fromRecordJson<Conditions>(bytes);
  }

  /** Removes the conditions; false where there are none. */
  async remove(id: number): Promise<boolean> {
    return (await this.#space.delete(idText(id))) !== undefined;
  }

  /** Refuses what the stored conditions do not allow; a ritual without any may be used, and all may be listed. */
  guard(nowSeconds: () => number): Guard {
    return async (operation, { id }) => {
      const conditions = id === undefined ? undefined : await this.get(id);
      return conditions === undefined ? allowed : judge(operation, conditions, nowSeconds());
    };
  }
}

function judge(
  operation: RitualOperation,
  { authorized, paid, expiresAt }: Conditions,
  now: number,
): GuardAnswer {
  if (authorized === false) return refused('unauthorized', 'it is not authorized');
  // What has expired or is not paid for must still be erasable.
  if (operation === 'delete' || operation === 'cache') return allowed;
  if (expiresAt !== undefined && expiresAt <= now) return refused('expired', `expired at ${expiresAt}`);
  return paid === false ? refused('unpaid', 'it is not paid for') : allowed;
}
