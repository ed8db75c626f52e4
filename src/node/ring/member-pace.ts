import { Memo } from '../../bytes/memo.ts';

/** Work for one member in the long run: a unit is about a millisecond, as much as it takes to verify a record. */
const UNITS_PER_SECOND = 500;
/** Work that is done for a member without a pause. */
const BURST_UNITS = 4_000;
const MAX_MEMBERS = 10_000;

/**
 * Bounds the work for each member. One that asks for more is answered later, and never refused: a member that repairs
 * much must not pass for one that does not answer. It waits for at most as many messages as are answered for it at once.
 */
export class MemberPace {
  readonly #elapsedMs: () => number;
  readonly #sleep: (milliseconds: number) => Promise<void>;
  /** When the work that was done for a member is paid for, by account. */
  readonly #paidAtMs = new Memo<number>(MAX_MEMBERS);

  /** @param elapsedMs of a clock that nobody turns. */
  constructor(elapsedMs: () => number, sleep: (milliseconds: number) => Promise<void>) {
    this.#elapsedMs = elapsedMs;
    this.#sleep = sleep;
  }

  /** Resolves when there is time for this work. */
  async wait(member: string, units: number): Promise<void> {
    const now = this.#elapsedMs();
    const paidAtMs = Math.max(this.#paidAtMs.find(member) ?? 0, now) + (1_000 * units) / UNITS_PER_SECOND;
    this.#paidAtMs.set(member, paidAtMs);
    const waitMs = paidAtMs - now - (1_000 * BURST_UNITS) / UNITS_PER_SECOND;
    if (waitMs > 0) await this.#sleep(waitMs);
  }
}
