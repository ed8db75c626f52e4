import { equalBytes } from '../bytes/concat.ts';
import type { AccountId, KeyId, SlotId } from '../bytes/fixed-bytes.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { SHARE_BYTES } from '../crypto/shamir.ts';
import { generationVerifier } from './generations.ts';
import { findSlot, type Generation, type KeyslotFile, type Slot } from './keyslot-file.ts';
import {
  agreesWith,
  countedSlots,
  findOpening,
  type OpenedSlot,
  type Opening,
  type Search,
} from './open-generation.ts';
import { openSlot } from './slot-seal.ts';

/** A server's answer to `recover`. */
export interface SlotAnswer {
  /** The server that answered, proved by the seal of its answer. */
  readonly server: AccountId;
  /** Name of the platform that the server's registered quote proves. */
  readonly platform: string;
  /** Whether it counts only up to a limit, because the fleet does not vouch for that platform; absent: it counts. */
  readonly countsInPart?: boolean;
  /** The slot that was asked for; slot ids differ over the whole file. */
  readonly slotId: SlotId;
  /** The id of the key that came. */
  readonly keyId: KeyId;
  /** 32 bytes; only read here, the caller wipes it. */
  readonly key: SecretBytes;
}

/**
 * The verdict on an answer.
 * - `opened`: the slot opened; its share counts.
 * - `crowded`: the slot opened, but as many slots of its platform, or of all platforms that the fleet does not vouch for,
 *   count already as may.
 * - `known`: the slot was open already.
 * - `other-key`: the server gave a key with another id: it forgot the one of this slot and made a new one.
 * - `wrong-key`: the key does not open the slot: the server lied about it, or the slot was tampered with.
 * - `bad-share`: the slot opened to a share with x = 0, which would choose the store key alone.
 * - `foreign`: no slot of this server has this id.
 * - `refused`: the generation's threshold is below the measured minimum.
 */
export type SlotVerdict =
  | 'opened'
  | 'crowded'
  | 'known'
  | 'other-key'
  | 'wrong-key'
  | 'bad-share'
  | 'foreign'
  | 'refused';

/** The store key, and the servers that contradict it. */
export interface Recovered {
  readonly storeKey: SecretBytes;
  /** The generation that opened. */
  readonly generation: number;
  /** Servers with a share of another polynomial in their slot: they lied, or made the slot with the host. */
  readonly outsiders: readonly AccountId[];
}

/** The progress of one generation. */
export interface GenerationProgress {
  readonly generation: number;
  readonly t: number;
  readonly n: number;
  /** Slots in the file. */
  readonly slots: number;
  /** Slots that opened and count: k of t ({@link countedSlots}). */
  readonly opened: number;
  /** False when the threshold is below the measured minimum: it never opens the store. */
  readonly allowed: boolean;
  /** True when t or more slots are open and no t of them prove the file's MAC: a liar, or a tampered file. */
  readonly inconsistent: boolean;
}

interface GenerationState {
  readonly generation: Generation;
  readonly allowed: boolean;
  readonly opened: OpenedSlot[];
  /** How many of `opened` have been tried already. */
  tried: number;
  readonly search: Search;
}

/**
 * One attempt to open a store from its keyslot file: takes answers as they arrive, in any order, from servers of both
 * generations, and yields the store key as soon as t good slots of one generation agree with its MAC. A wrong answer
 * is named and never stops the others.
 */
export class RecoveryAttempt {
  readonly #file: KeyslotFile;
  readonly #states: readonly GenerationState[];
  #opening: { readonly state: GenerationState; readonly opening: Opening } | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param minimumThreshold from the trust section; generations with a smaller t are refused. */
  constructor(file: KeyslotFile, minimumThreshold: number) {
    if (!Number.isInteger(minimumThreshold) || minimumThreshold < 1) {
      throw new RangeError(`minimumThreshold must be at least 1, got ${minimumThreshold}`);
    }
    this.#file = file;
    this.#states = file.generations.map((generation) => ({
      generation,
      allowed: generation.t >= minimumThreshold,
      opened: [],
      tried: 0,
      search: {
        t: generation.t,
        n: generation.n,
        isStoreKey: generationVerifier(file, generation),
        tried: 0,
      },
    }));
  }

  /** Takes one answer, and says what it was worth. */
  offer(answer: SlotAnswer): SlotVerdict {
    const found = findSlot(this.#file, answer.slotId);
    const state = this.#states.find(({ generation }) => generation === found?.generation);
    if (found === undefined || state === undefined) return 'foreign';
    const { slot } = found;
    if (!equalBytes(slot.server, answer.server)) return 'foreign';
    if (!state.allowed) return 'refused';
    if (state.opened.some((opened) => opened.slot === slot)) return 'known';
    if (!equalBytes(slot.keyId, answer.keyId)) return 'other-key';
    const content = this.#open(state.generation, slot, answer.key);
    if (content === undefined) return 'wrong-key';
    if (content.length === SHARE_BYTES && content.at(-1) === 0) {
      content.fill(0);
      return 'bad-share';
    }
    const counted = countedSlots(state.opened, state.generation);
    const { platform, countsInPart = false } = answer;
    state.opened.push({ slot, platform, countsInPart, content });
    return countedSlots(state.opened, state.generation) > counted ? 'opened' : 'crowded';
  }

  #open({ generation, t, n }: Generation, slot: Slot, key: SecretBytes): Uint8Array | undefined {
    const { account, storeId } = this.#file;
    const { index, server, keyId } = slot;
    return openSlot(key, { account, storeId, generation, t, n, index, server, keyId }, slot.sealed);
  }

  /**
   * Tries what {@link offer} has opened, newer generation first. Once it has answered with a key, later calls answer
   * with the same key and with the outsiders among the slots that opened since. Calls never overlap.
   * @returns `undefined` while there is no key. Every answer carries a copy of its own, which the caller wipes.
   */
  tryOpen(): Promise<Recovered | undefined> {
    const turn = this.#turn.then(() => this.#tryOpen());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #tryOpen(): Promise<Recovered | undefined> {
    await this.#findOpening();
    if (this.#opening === undefined) return undefined;
    const { state, opening } = this.#opening;
    const outsiders: AccountId[] = [];
    for (const opened of [...state.opened]) {
      if (!(await agreesWith(opening, opened))) outsiders.push(opened.slot.server);
    }
    return {
      storeKey: new SecretBytes(opening.storeKey),
      generation: state.generation.generation,
      outsiders,
    };
  }

  /** Does nothing once there is an opening. */
  async #findOpening(): Promise<void> {
    for (const state of this.#states) {
      while (state.tried < state.opened.length && this.#opening === undefined) {
        state.tried += 1;
        const opened = state.opened.slice(0, state.tried);
        const opening = await findOpening(state.search, opened);
        if (opening !== undefined) this.#opening = { state, opening };
      }
    }
  }

  /** How far each generation is, the newer first. */
  get progress(): readonly GenerationProgress[] {
    return this.#states.map((state) => {
      const { generation, t, n, slots } = state.generation;
      const isOpening = this.#opening?.state === state;
      return {
        generation,
        t,
        n,
        slots: slots.length,
        opened: countedSlots(state.opened, { t, n }),
        allowed: state.allowed,
        inconsistent:
          !isOpening && countedSlots(state.opened, { t, n }) >= t && state.tried === state.opened.length,
      };
    });
  }

  /** Wipes all shares and the key; the attempt is not to be used afterwards. */
  wipe(): void {
    for (const { opened } of this.#states) for (const { content } of opened) content.fill(0);
    for (const state of this.#states) state.opened.length = 0;
    this.#opening?.opening.storeKey.fill(0);
    this.#opening = undefined;
  }
}

/** Runs a {@link RecoveryAttempt} on a complete list of answers. */
export async function openStoreKey(
  file: KeyslotFile,
  minimumThreshold: number,
  answers: readonly SlotAnswer[],
): Promise<{ readonly recovered: Recovered | undefined; readonly verdicts: readonly SlotVerdict[] }> {
  const attempt = new RecoveryAttempt(file, minimumThreshold);
  try {
    const verdicts = answers.map((answer) => attempt.offer(answer));
    return { recovered: await attempt.tryOpen(), verdicts };
  } finally {
    attempt.wipe();
  }
}
