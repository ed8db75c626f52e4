import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { EnrolledServer } from '../../keyslots/generations.ts';
import type { Slot } from '../../keyslots/keyslot-file.ts';
import { type CheckedSlot, isLive } from './slot-check.ts';

/** A server that has just given a key, and the process that did. */
type Granting = Pick<EnrolledServer, 'server' | 'instanceId'>;

/** Cap on the back-off exponent. */
const MAX_DOUBLINGS = 10;

/**
 * Servers that do not prove a slot, although the seal of a grant shows that they are the process that issued it, so that
 * its key still exists. Either the network forges their errors, which are not authenticated, or they lie, or their clock
 * is wrong. A node that believed "I hold no key for this slot" from them would make a new generation at every look. Such
 * a server is treated as a silent one instead. Each time that it gets a slot again, because there is no other server,
 * it must be silent for twice as long.
 */
export class SuspectedServers {
  readonly #doubted = new Map<string, { readonly instance: string; doublings: number }>();

  /** Whether it is doubted that this slot is lost. */
  covers({ server, instanceId }: Pick<Slot, 'server' | 'instanceId'>): boolean {
    return this.#doubted.get(toHex(server))?.instance === toHex(instanceId);
  }

  /** How often longer than others the server of a doubted slot may be silent. */
  patienceFactor({ server }: Pick<Slot, 'server'>): number {
    return 2 ** (this.#doubted.get(toHex(server))?.doublings ?? 0);
  }

  /** Takes what the grants of an enrolment proved; returns the servers that are doubted for the first time. */
  learn(checked: readonly CheckedSlot[], granted: readonly Granting[]): readonly AccountId[] {
    const fresh = contradicted(checked, granted).filter((slot) => !this.covers(slot));
    for (const { server, instanceId } of fresh) {
      this.#doubted.set(toHex(server), { instance: toHex(instanceId), doublings: 0 });
    }
    return fresh.map(({ server }) => server);
  }

  /** Notes the servers of a new generation; a doubted one among them got its slot because there was no other server. */
  taken(enrolled: readonly EnrolledServer[]): void {
    for (const { server } of enrolled) {
      const doubt = this.#doubted.get(toHex(server));
      if (doubt !== undefined) doubt.doublings = Math.min(doubt.doublings + 1, MAX_DOUBLINGS);
    }
  }

  /** Ends the doubt about a server when all of its slots proved to live. */
  clear(checked: readonly CheckedSlot[]): void {
    for (const server of new Set(checked.map(({ slot }) => toHex(slot.server)))) {
      const itsSlots = checked.filter(({ slot }) => toHex(slot.server) === server);
      if (itsSlots.every(isLive)) this.#doubted.delete(server);
    }
  }
}

/** Slots that were not proved, although the process that issued them has just given another key. */
export function contradicted(checked: readonly CheckedSlot[], granted: readonly Granting[]): readonly Slot[] {
  return checked
    .filter((one) => !isLive(one) && !isProvedFalse(one))
    .map(({ slot }) => slot)
    .filter((slot) =>
      granted.some(
        ({ server, instanceId }) =>
          equalBytes(server, slot.server) && equalBytes(instanceId, slot.instanceId),
      ),
    );
}

/** Its server gave a key that does not open the slot, under its own seal. */
const isProvedFalse = ({ report: { standing } }: CheckedSlot): boolean =>
  typeof standing === 'object' && standing.kind === 'lied';
