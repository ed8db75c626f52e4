import { toHex } from '../../bytes/hex.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import type { Generation } from '../../keyslots/keyslot-file.ts';
import type { OpenNode } from '../node/open-node.ts';
import { fetchSlotKeys } from '../obtain/fetch-slot-keys.ts';
import type { RoundTools } from '../obtain/key-round.ts';
import type { ServerVetter } from '../obtain/vet-server.ts';
import type { PeerFailure } from '../peer/peer-failure.ts';
import type { AttemptPace } from './attempt-pace.ts';

/**
 * Fetches the keys that a recovery did not wait for: those of the servers beyond the first t, and of the older
 * generation. With them the slots can be proved, and erased when no generation needs them.
 */
export class MissingKeyFetcher {
  readonly #tools: RoundTools & { readonly vetter: ServerVetter };
  readonly #node: OpenNode;
  readonly #pace: AttemptPace;
  /** Why the key of a slot is not known, by slot. */
  readonly unknown = new Map<string, PeerFailure>();

  constructor(tools: RoundTools & { readonly vetter: ServerVetter }, node: OpenNode, pace: AttemptPace) {
    this.#tools = tools;
    this.#node = node;
    this.#pace = pace;
  }

  /** Asks for the missing keys, with exponential back-off. */
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
    const { book, hold } = this.#node;
    const { file } = book;
    if (file === undefined) return;
    const slots = generation.slots.filter(({ slotId }) => book.keyOf(slotId) === undefined);
    const asked = { file, slots, snapshot, observer: hold, signal };
    await fetchSlotKeys(this.#tools, asked, (slotId, answer) => {
      if (answer.ok) book.learn(slotId, answer.key);
      else this.unknown.set(toHex(slotId), answer.failure);
    });
  }
}
