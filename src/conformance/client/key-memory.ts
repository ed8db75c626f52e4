import { equalBytes } from '../../bytes/concat.ts';
import { type AccountId, KeyId, SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { lineageIdOf } from '../../lineage/lineage-key.ts';
import { type LineageFacts, NO_FACTS } from '../../lineage/rules.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';

/** A key that the scripted server made. */
export interface ScriptedSlot {
  readonly slotId: SlotId;
  readonly key: SecretBytes;
  readonly keyId: KeyId;
  readonly token: SecretBytes;
  readonly madeAtMs: number;
  lineage: ScriptedLineage | undefined;
}

/** What the scripted server knows of the client's lineage. */
export interface ScriptedLineage {
  readonly key: SecretBytes;
  facts: LineageFacts;
  slots: readonly SlotId[];
}

/** The keys and lineages of one scripted server. */
export class KeyMemory {
  readonly #random: RandomSource;
  readonly #slots = new Map<string, ScriptedSlot>();
  readonly #lineages = new Map<string, ScriptedLineage>();
  readonly #secrets: SecretBytes[] = [];

  constructor(random: RandomSource) {
    this.#random = random;
  }

  /** A key that is there. */
  slot(account: AccountId, slotId: SlotId): ScriptedSlot | undefined {
    return this.#slots.get(nameOf(account, slotId));
  }

  /** Makes a key; one that is there under the same id is replaced. */
  create(account: AccountId, slotId: SlotId, madeAtMs: number): ScriptedSlot {
    const slot: ScriptedSlot = {
      slotId,
      key: SecretBytes.adopt(this.#random(32)),
      keyId: KeyId.of(this.#random(KeyId.byteLength)),
      token: SecretBytes.adopt(this.#random(32)),
      madeAtMs,
      lineage: undefined,
    };
    this.#slots.set(nameOf(account, slotId), slot);
    this.#secrets.push(slot.key, slot.token);
    return slot;
  }

  /** Erases a key. */
  erase(account: AccountId, slotId: SlotId): void {
    const lineage = this.slot(account, slotId)?.lineage;
    this.#slots.delete(nameOf(account, slotId));
    if (lineage !== undefined) lineage.slots = lineage.slots.filter((one) => !equalBytes(one, slotId));
  }

  /** Links a slot to the lineage that has this key here. */
  link(account: AccountId, slot: ScriptedSlot, key: SecretBytes): void {
    const name = `${toHex(account)}/${toHex(lineageIdOf(key))}`;
    const lineage = this.#lineages.get(name) ?? { key, facts: NO_FACTS, slots: [] };
    this.#lineages.set(name, lineage);
    if (slot.lineage === undefined) lineage.slots = [...lineage.slots, slot.slotId];
    slot.lineage = lineage;
    this.#secrets.push(key);
  }

  /** A lineage by its name. */
  lineage(account: AccountId, lineageId: Uint8Array): ScriptedLineage | undefined {
    return this.#lineages.get(`${toHex(account)}/${toHex(lineageId)}`);
  }

  /** All that only the client may ever see, with the keys that are erased. */
  get secrets(): readonly SecretBytes[] {
    return this.#secrets;
  }
}

/** What an answer shows of a lineage. */
export const stateOf = (lineage: ScriptedLineage | undefined): LineageState | undefined =>
  lineage && { ...lineage.facts, slots: lineage.slots.map((id) => SlotId.of(id)) };

const nameOf = (account: AccountId, slotId: SlotId): string => `${toHex(account)}/${toHex(slotId)}`;
