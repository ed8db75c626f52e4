import { toHex } from '../../bytes/hex.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import type { Generation, KeyslotFile, Slot } from '../../keyslots/keyslot-file.ts';
import type { DroppedSlot } from '../node/slot-book.ts';
import { fetchSlotKeys } from '../obtain/fetch-slot-keys.ts';
import type { RoundTools } from '../obtain/key-round.ts';

/** A slot of a former store key, and the file that it opens under. */
interface FormerSlot {
  readonly file: KeyslotFile;
  readonly slot: Slot;
}

/**
 * Slots of the store key before the present one, which a rotation that was cut off has left in the keyslot file. While
 * their servers hold the keys, an older copy of the disk opens.
 */
export class FormerSlots {
  readonly #open = new Map<string, FormerSlot>();
  readonly #keys = new Map<string, SecretBytes>();

  /**
   * @param file as read from the disk.
   * @param proven its part that the present store key signed; no slot in it is a former one.
   */
  constructor(file: KeyslotFile, proven: KeyslotFile) {
    const present = new Set(
      proven.generations.flatMap(({ slots }) => slots.map(({ slotId }) => toHex(slotId))),
    );
    for (const generation of file.generations) {
      if (!isFormer(generation, proven)) continue;
      for (const slot of generation.slots) {
        const name = toHex(slot.slotId);
        if (!present.has(name)) this.#open.set(name, { file: { ...file, generations: [generation] }, slot });
      }
    }
  }

  /** Keeps a server key that the recovery brought, if it is that of a former slot; returns whether it is. */
  learn(slotId: string, key: SecretBytes): boolean {
    if (!this.#open.has(slotId)) return false;
    this.#keys.set(slotId, key);
    return true;
  }

  /** Whether there are slots that were neither handed over nor reported as erased by their servers. */
  get isPending(): boolean {
    return this.#open.size > 0;
  }

  /** Hands over the slots with known keys, and asks the other servers for theirs. */
  async take(
    tools: RoundTools,
    snapshot: ChainSnapshot,
    signal: AbortSignal,
  ): Promise<readonly DroppedSlot[]> {
    const unknown = [...this.#open.values()].filter(({ slot }) => !this.#keys.has(toHex(slot.slotId)));
    for (const file of new Set(unknown.map((former) => former.file))) {
      const slots = unknown.filter((former) => former.file === file).map(({ slot }) => slot);
      await fetchSlotKeys(tools, { file, slots, snapshot, signal }, (slotId, answer) => {
        if (answer.ok) this.#keys.set(toHex(slotId), answer.key);
        else if (answer.failure.kind === 'forgot') this.#open.delete(toHex(slotId));
      });
    }
    return [...this.#open].flatMap(([name, { file, slot }]) => {
      const key = this.#keys.get(name);
      if (key === undefined) return [];
      this.#open.delete(name);
      this.#keys.delete(name);
      const { server, slotId } = slot;
      return [{ server, account: file.account, slotId, key }];
    });
  }

  /** Wipes the keys that were not handed over. */
  wipe(): void {
    for (const key of this.#keys.values()) key.wipe();
    this.#keys.clear();
    this.#open.clear();
  }
}

/** A newer generation is the start of a rotation that did not change the key; it opens no copy of the disk. */
const isFormer = ({ generation }: Generation, proven: KeyslotFile): boolean =>
  proven.generations.every((present) => generation < present.generation);
