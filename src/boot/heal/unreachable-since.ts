import { toHex } from '../../bytes/hex.ts';
import type { Slot } from '../../keyslots/keyslot-file.ts';
import { type CheckedSlot, isLive } from './slot-check.ts';

/** Records for each slot since when its server has not answered. */
export class UnreachableSince {
  /** By slot, in milliseconds. */
  #sinceMs: ReadonlyMap<string, number> = new Map();

  /** Notes the results of a check; returns the slots that are silent for the first time. */
  note(checked: readonly CheckedSlot[], nowMs: number): readonly CheckedSlot[] {
    const before = this.#sinceMs;
    const silent = checked.filter((one) => !isLive(one));
    this.#sinceMs = new Map(
      silent.map(({ slot }) => [toHex(slot.slotId), before.get(toHex(slot.slotId)) ?? nowMs]),
    );
    return silent.filter(({ slot }) => !before.has(toHex(slot.slotId)));
  }

  /** How long a slot's server has been silent, in milliseconds. */
  lengthMs({ slotId }: Pick<Slot, 'slotId'>, nowMs: number): number {
    return nowMs - (this.#sinceMs.get(toHex(slotId)) ?? nowMs);
  }
}
