import { toHex } from '../../bytes/hex.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import type { Generation } from '../../keyslots/keyslot-file.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';
import type { OpenNode } from '../node/open-node.ts';
import { fetchSlotKeys } from '../obtain/fetch-slot-keys.ts';
import type { RoundTools } from '../obtain/key-round.ts';
import type { PeerFailure } from '../peer/peer-failure.ts';
import type { AttemptPace } from './attempt-pace.ts';

/**
 * Fetches the keys that a recovery did not wait for: those of the servers beyond the first t, and of the older
 * generation. With them the slots can be proved, and erased when no generation needs them.
 */
export class MissingKeyFetcher {
  readonly #tools: RoundTools;
  readonly #node: OpenNode;
  readonly #pace: AttemptPace;
  /** Why the key of a slot is not known, by slot. */
  readonly unknown = new Map<string, PeerFailure>();

  constructor(tools: RoundTools, node: OpenNode, pace: AttemptPace) {
    this.#tools = tools;
    this.#node = node;
    this.#pace = pace;
  }

  /** Asks for the missing keys, with exponential back-off. @throws EvidenceError STORE_ROLLED_BACK. */
  async learn(snapshot: ChainSnapshot, signal: AbortSignal): Promise<void> {
    const { book } = this.#node;
    if (!this.#pace.isDue) return;
    for (const generation of book.file?.generations ?? []) {
      await this.#learnKeysOf(generation, snapshot, signal);
    }
    const isAllKnown = book.slots().every(({ slot }) => book.keyOf(slot.slotId) !== undefined);
    if (isAllKnown) this.#pace.relax();
    else this.#pace.backOff();
  }

  async #learnKeysOf(generation: Generation, snapshot: ChainSnapshot, signal: AbortSignal): Promise<void> {
    const { book, hold, rollback } = this.#node;
    const { file } = book;
    if (file === undefined) return;
    const shown: LineageState[] = [];
    const slots = generation.slots.filter(({ slotId }) => book.keyOf(slotId) === undefined);
    await fetchSlotKeys(this.#tools, { file, slots, snapshot, signal }, (slotId, answer) => {
      if (!answer.ok) {
        this.unknown.set(toHex(slotId), answer.failure);
        return;
      }
      book.learn(slotId, answer.key);
      hold.observe(answer.lineage);
      if (answer.lineage !== undefined) shown.push(answer.lineage);
    });
    if (!hold.holds) for (const state of shown) rollback?.compare(state);
  }
}
