import { toHex } from '../../bytes/hex.ts';
import { newestOf, type SlotCheck } from '../heal/slot-check.ts';
import type { OpenNode } from './open-node.ts';

/** Rounds in which a boot raises its claim in one tick. */
const MAX_CLAIM_ROUNDS = 4;

/** Records whether this boot holds its account, and when a newer instance took the account over. */
export class AccountHold {
  readonly #node: OpenNode;
  #holds = false;

  constructor(node: OpenNode) {
    this.#node = node;
  }

  /** Whether t servers have shown this boot's claim. */
  get holds(): boolean {
    return this.#holds;
  }

  /**
   * Until this boot holds its account at t servers it is the newest boot that it knows of: what an earlier one left
   * behind at fewer servers must not stop it, so it claims above that.
   */
  async settle(look: () => Promise<SlotCheck>): Promise<SlotCheck> {
    let check = await look();
    for (let round = 0; !this.#holds && check.newerNumber > 0 && round < MAX_CLAIM_ROUNDS; round++) {
      this.#node.claim.raiseAbove(check.newerNumber);
      check = await look();
    }
    const held = newestOf(this.#node, check).filter(({ claim }) => claim === 'own').length;
    const threshold = this.#node.book.newest?.t ?? 1;
    this.#holds ||= held >= threshold;
    return check;
  }

  /**
   * Whether more than n − t servers of one generation show a newer claim, so that this boot cannot hold t of them. The
   * older generation counts too: it may be the only one that the newer instance has.
   */
  isOvertaken({ checked }: SlotCheck): boolean {
    if (!this.#holds) return false;
    const newer = new Set(
      checked.filter(({ claim }) => claim === 'newer').map(({ slot }) => toHex(slot.slotId)),
    );
    return (this.#node.book.file?.generations ?? []).some(
      ({ slots, n, t }) => slots.filter(({ slotId }) => newer.has(toHex(slotId))).length > n - t,
    );
  }
}
