import type { AccountId, InstanceId, SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import {
  addGeneration,
  confirmSlot,
  dropOlder,
  type EnrolledServer,
  firstFile,
  withdrawSlot,
} from '../../keyslots/generations.ts';
import {
  findSlot,
  type Generation,
  isComplete,
  type KeyslotFile,
  type Slot,
} from '../../keyslots/keyslot-file.ts';

/** Replaces the keyslot file; resolves when the new file is durable. */
export type SaveKeyslots = (file: KeyslotFile) => Promise<void>;

/**
 * Notes generations that are about to leave the file, so that their servers erase their keys; resolves to whether that
 * is durable.
 */
export type LeaveGenerations = (generations: readonly Generation[]) => Promise<boolean>;

/**
 * The keyslot file of a running node and the server keys that it knows. Memory follows the disk: a change counts only
 * when it is durable, and changes are made one after another.
 */
export class SlotBook {
  readonly #save: SaveKeyslots;
  readonly #leave: LeaveGenerations;
  readonly #storeKey: SecretBytes;
  readonly #keys = new Map<string, SecretBytes>();
  #file: KeyslotFile | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: {
    readonly save: SaveKeyslots;
    readonly leave: LeaveGenerations;
    readonly storeKey: SecretBytes;
    readonly file?: KeyslotFile | undefined;
  }) {
    this.#save = options.save;
    this.#leave = options.leave;
    this.#storeKey = options.storeKey;
    this.#file = options.file;
  }

  get file(): KeyslotFile | undefined {
    return this.#file;
  }

  /** The newer generation, or `undefined` while the store is unbacked. */
  get newest(): Generation | undefined {
    return this.#file?.generations[0];
  }

  /** Every slot of every generation, the newer generation first. */
  slots(): readonly { readonly generation: Generation; readonly slot: Slot }[] {
    return (this.#file?.generations ?? []).flatMap((generation) =>
      generation.slots.map((slot) => ({ generation, slot })),
    );
  }

  /** Remembers a server key that a recovery or an enrolment brought. */
  learn(slotId: SlotId, key: SecretBytes): void {
    this.#keys.set(toHex(slotId), key);
  }

  keyOf(slotId: SlotId): SecretBytes | undefined {
    return this.#keys.get(toHex(slotId));
  }

  /**
   * Puts a new generation in front, with the keys that its servers gave.
   * @param standing what is known of a slot; decides which older generation stays.
   */
  add(
    identity: { readonly account: AccountId; readonly storeId: Uint8Array },
    generation: Generation,
    enrolled: readonly EnrolledServer[],
    standing: (slot: Slot) => 'live' | 'silent' | 'lost',
  ): Promise<void> {
    return this.#oneAfterAnother(async () => {
      const present = this.#file;
      const { file, dropped } =
        present === undefined
          ? { file: firstFile(identity, generation), dropped: [] }
          : addGeneration(present, generation, ({ slots }) => ({
              live: slots.filter((slot) => standing(slot) === 'live').length,
              possible: slots.filter((slot) => standing(slot) !== 'lost').length,
            }));
      // What is not durable is tried again: a store that cannot be written must not keep the node from healing.
      if (dropped.length > 0) await this.#leave(dropped);
      await this.#change(file, dropped);
      for (const server of enrolled) this.learn(server.slotId, server.key);
    });
  }

  /**
   * Notes the results of a slot check: confirms the slots that proved to live, withdraws the slots that their
   * servers say are lost, and then gives up the older generation if the newer one is complete.
   * @returns false when the older generation stays in the file although it could go: the store takes no writes now.
   */
  note(
    confirmed: readonly { readonly slotId: SlotId; readonly instanceId: InstanceId }[],
    lost: readonly SlotId[],
  ): Promise<boolean> {
    return this.#oneAfterAnother(async () => {
      const present = this.#file;
      if (present === undefined) return true;
      let changed = present;
      for (const slotId of lost) changed = withdrawSlot(changed, this.#storeKey, slotId);
      for (const { slotId, instanceId } of confirmed) {
        changed = confirmSlot(changed, this.#storeKey, slotId, instanceId);
      }
      const { file, dropped } = dropOlder(changed);
      const isNoted = dropped.length === 0 || (await this.#leave(dropped));
      if (isNoted) await this.#change(file, dropped);
      else await this.#change(changed, []);
      return isNoted;
    });
  }

  /** Whether every slot of the newer generation was confirmed at the process that issued it. */
  get isComplete(): boolean {
    return this.newest !== undefined && isComplete(this.newest);
  }

  /** Whether the book still has a slot. */
  has(slotId: SlotId): boolean {
    return this.#file !== undefined && findSlot(this.#file, slotId) !== undefined;
  }

  /** Wipes all server keys. */
  wipe(): void {
    for (const key of this.#keys.values()) key.wipe();
    this.#keys.clear();
  }

  async #change(file: KeyslotFile, dropped: readonly Generation[]): Promise<void> {
    // What is to be erased was noted before: a crash between the two must not leave keys that are forgotten.
    if (file === this.#file) return;
    await this.#save(file);
    this.#file = file;
    for (const { slots } of dropped) {
      for (const { slotId } of slots) {
        this.#keys.get(toHex(slotId))?.wipe();
        this.#keys.delete(toHex(slotId));
      }
    }
  }

  #oneAfterAnother<T>(change: () => Promise<T>): Promise<T> {
    const next = this.#last.then(change, change);
    this.#last = next.catch(() => undefined);
    return next;
  }
}
