import type { SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { Memo } from '../../bytes/memo.ts';
import type { Quorum } from '../../keyslots/threshold.ts';
import { type Clock, monotonicMsOf } from '../../time/clock.ts';

/** Slots of which the last renewal is remembered: those of all generations that are not closed, and more. */
const MAX_SLOTS = 16_384;

/** A generation that is not closed: with t of its slots another instance could take hold. */
export interface LeasedGeneration {
  /** Whether it is of a former store key: no server shows a mark of this instance there before it closes the lineage. */
  readonly isFormer?: boolean;
  readonly slotIds: readonly SlotId[];
  /** At how many of these servers the mark must be shown, so that another instance cannot have t of them. */
  readonly needed: number;
}

/** Why the mark must be shown at how many of the n servers of the present generation, each a least number. */
export const renewalMinimums = ({ t, n }: Quorum) => ({
  /** Of any t servers one is among them: by the slots of the generation nobody else takes hold unnoticed. */
  overlap: n - t + 1,
  /** With fewer than t live slots another instance takes hold by new ones, of which this one would not hear. */
  liveSlots: t,
});

/** At how many servers of the present generation the mark must be shown, so that no other instance takes hold meanwhile. */
export const renewalsNeeded = (quorum: Quorum): number => Math.max(...Object.values(renewalMinimums(quorum)));

/**
 * For how long this instance may write without word from its key servers (`trust.fencing.leaseMs`). It is renewed where
 * enough servers of every generation that is not closed show the mark of this instance, and counts from the time at which
 * they were asked. Measured by the monotonic clock: the host sets the other one.
 */
export class WriteLease {
  /** How long it lasts, and how long an instance that takes hold waits for an earlier one, in milliseconds. */
  readonly leaseMs: number;
  readonly #clock: Clock;
  readonly #shownAtMs = new Memo<number>(MAX_SLOTS);
  #generations: (() => readonly LeasedGeneration[]) | undefined;
  /** Slots without a renewal count as renewed then. */
  #baseMs: number;

  /** @param isNew whether this instance made the lineage just now, so that no other one can hold yet. */
  constructor(leaseMs: number, clock: Clock, isNew: boolean) {
    this.leaseMs = leaseMs;
    this.#clock = clock;
    this.#baseMs = isNew ? this.nowMs() : Number.NEGATIVE_INFINITY;
  }

  /** Milliseconds of the monotonic clock. */
  nowMs(): number {
    return monotonicMsOf(this.#clock);
  }

  /**
   * The generations that count from now on. Under a new store key the lease lasts as long as before: the new lineage is
   * younger than the last renewal.
   */
  watch(generations: () => readonly LeasedGeneration[]): void {
    if (this.#generations !== undefined) this.#baseMs = Math.max(this.#baseMs, this.#renewedAtMs());
    this.#generations = generations;
  }

  /** The server of a slot showed the mark of this instance, in the answer to a request that was sent then. */
  renewed(slotId: SlotId, sentAtMs: number): void {
    const name = toHex(slotId);
    this.#shownAtMs.set(name, Math.max(sentAtMs, this.#shownAtMs.find(name) ?? sentAtMs));
  }

  /** Whether this instance may write now. */
  get isValid(): boolean {
    return this.notRenewed === undefined;
  }

  /** Why this instance, which holds its account, does not write for now; `undefined` when it may. */
  get notRenewed(): string | undefined {
    const generations = this.#generations?.() ?? [];
    const seconds = this.leaseMs / 1_000;
    if (!this.#isRecent(generations.filter(({ isFormer }) => isFormer !== true)))
      return `too few key servers have shown the mark of this instance within the last ${seconds} s`;
    if (!this.#isRecent(generations))
      return 'too few key servers have closed the lineage of a former store key: by the others a copy of the disk from before the change may open and write';
    return undefined;
  }

  #isRecent(generations: readonly LeasedGeneration[]): boolean {
    return this.nowMs() - this.#renewedAtMs(generations) < this.leaseMs;
  }

  /** The time at which the servers of every generation were asked that last showed the mark. */
  #renewedAtMs(generations = this.#generations?.() ?? []): number {
    const times = generations.map(({ slotIds, needed }) => {
      const shown = slotIds.map((slotId) => this.#shownAtMs.find(toHex(slotId)) ?? this.#baseMs);
      return shown.sort((a, b) => b - a)[needed - 1] ?? this.#baseMs;
    });
    return times.length === 0 ? this.nowMs() : Math.min(...times);
  }
}
