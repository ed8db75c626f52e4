import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { Slot } from '../../keyslots/keyslot-file.ts';
import { RepeatedClaims } from './repeated-claims.ts';
import { type CheckedSlot, isDraining } from './slot-check.ts';

/** Cap on the doublings of the time that a repeated drain notice must last. */
const MAX_DOUBLINGS = 10;

/**
 * Servers that say under the MAC of a slot that they drain. They keep the slots that they have; the next generation is
 * made without them. A server that drains again and again, and gives keys in between, is left more slowly each time.
 */
export class DrainNotices {
  readonly #claims: RepeatedClaims;
  /** Since when each server reports a drain without interruption, and the process that reports it. */
  readonly #saying = new Map<string, { readonly instance: string; readonly sinceMs: number }>();

  /** @param patienceMs how long the second drain of one server must last before it counts. */
  constructor(patienceMs: number) {
    this.#claims = new RepeatedClaims({ patienceMs, maxDoublings: MAX_DOUBLINGS });
  }

  /** Notes the results of a check; returns the servers that did not report a drain at the previous check. */
  note(checked: readonly CheckedSlot[], nowMs: number): readonly AccountId[] {
    const fresh: AccountId[] = [];
    const saying = new Map(checked.filter(isDraining).map(({ slot }) => [toHex(slot.server), slot]));
    for (const [name, { server, instanceId }] of saying) {
      const instance = toHex(instanceId);
      if (this.#saying.get(name)?.instance === instance) continue;
      fresh.push(server);
      this.#saying.set(name, { instance, sinceMs: nowMs });
    }
    for (const name of [...this.#saying.keys()]) if (!saying.has(name)) this.#saying.delete(name);
    return fresh;
  }

  /** Whether a slot is to be replaced now because its server drains. */
  shouldReplace({ server }: Pick<Slot, 'server'>, nowMs: number): boolean {
    const saying = this.#saying.get(toHex(server));
    return saying !== undefined && nowMs - saying.sinceMs >= this.#claims.waitMs(server, nowMs);
  }

  /** Notes that a generation was made without these servers, because they drain. */
  left(servers: readonly AccountId[], nowMs: number): void {
    this.#claims.replaced(servers, nowMs);
  }

  /** Whether a server was left a short time ago, so that others are asked before it. */
  wasLeft(server: AccountId, nowMs: number): boolean {
    return this.#claims.isLast(server, nowMs);
  }
}
