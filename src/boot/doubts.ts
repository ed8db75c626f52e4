import { equalBytes } from '../bytes/concat.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import type { EnrolledServer } from '../keyslots/generations.ts';
import type { Slot } from '../keyslots/keyslot-file.ts';
import { type CheckedSlot, isLive } from './slot-check.ts';

/** After so many doublings a doubted server is looked at no more seldom. */
const MAX_DOUBLINGS = 10;

/**
 * Servers that do not prove a slot, and by the seal of a grant were shown to be the very process that issued it: so its
 * key is not gone. Either the network forges their errors, which nobody signs, or they lie, or their clock is wrong;
 * "I hold no key for this slot", acted upon at once, would make a new generation at every look. Such a server is
 * treated as a silent one instead, and each time that it is taken again for want of another it must be silent for twice
 * as long.
 */
export class Doubts {
  readonly #doubted = new Map<string, { readonly instance: string; doublings: number }>();

  /** Whether it is doubted that this slot is lost. */
  covers({ server, instanceId }: Pick<Slot, 'server' | 'instanceId'>): boolean {
    return this.#doubted.get(toHex(server))?.instance === toHex(instanceId);
  }

  /** How often longer than others the server of a doubted slot may be silent. */
  patienceFactor({ server }: Pick<Slot, 'server'>): number {
    return 2 ** (this.#doubted.get(toHex(server))?.doublings ?? 0);
  }

  /** Takes what an enrolment proved; returns the servers that are doubted for the first time. */
  learn(checked: readonly CheckedSlot[], enrolled: readonly EnrolledServer[]): readonly AccountId[] {
    const fresh = contradicted(checked, enrolled).filter((slot) => !this.covers(slot));
    for (const { server, instanceId } of fresh) {
      this.#doubted.set(toHex(server), { instance: toHex(instanceId), doublings: 0 });
    }
    return fresh.map(({ server }) => server);
  }

  /** Notes the servers of a generation that was made: those that are doubted were taken for want of others. */
  taken(enrolled: readonly EnrolledServer[]): void {
    for (const { server } of enrolled) {
      const doubt = this.#doubted.get(toHex(server));
      if (doubt !== undefined) doubt.doublings = Math.min(doubt.doublings + 1, MAX_DOUBLINGS);
    }
  }

  /** The word of a server all of whose slots proved to live counts again. */
  clear(checked: readonly CheckedSlot[]): void {
    for (const server of new Set(checked.map(({ slot }) => toHex(slot.server)))) {
      const itsSlots = checked.filter(({ slot }) => toHex(slot.server) === server);
      if (itsSlots.every(isLive)) this.#doubted.delete(server);
    }
  }
}

/** Slots that were not proved, and whose very issuer has just given another key. */
export function contradicted(
  checked: readonly CheckedSlot[],
  enrolled: readonly EnrolledServer[],
): readonly Slot[] {
  return checked
    .filter((one) => !isLive(one) && !isProvedFalse(one))
    .map(({ slot }) => slot)
    .filter((slot) =>
      enrolled.some(
        ({ server, instanceId }) =>
          equalBytes(server, slot.server) && equalBytes(instanceId, slot.instanceId),
      ),
    );
}

/** Its server gave a key that does not open the slot, under its own seal. */
const isProvedFalse = ({ report: { standing } }: CheckedSlot): boolean =>
  typeof standing === 'object' && standing.kind === 'lied';
