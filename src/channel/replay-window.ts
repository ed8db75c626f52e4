/** How far a message may be behind the newest one of its session. */
export const WINDOW_MESSAGES = 1_024;

/** Which counters of one direction were received. Messages may overtake each other, and none counts twice. */
export class ReplayWindow {
  /** The counter that was received last of those which share a place: counter modulo the size. */
  readonly #seen = new Float64Array(WINDOW_MESSAGES).fill(-1);
  #newest = -1;

  /** Whether a counter was received before, or is so old that this is not known any more. */
  isUsed(counter: number): boolean {
    return counter <= this.#newest - WINDOW_MESSAGES || this.#seen[counter % WINDOW_MESSAGES] === counter;
  }

  /** Notes a counter that is not used: of a message that was authenticated. */
  add(counter: number): void {
    this.#seen[counter % WINDOW_MESSAGES] = counter;
    this.#newest = Math.max(this.#newest, counter);
  }
}
