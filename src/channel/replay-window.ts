/** How far a message may be behind the newest one of its session. */
export const WINDOW_MESSAGES = 1_024;

/** Which counters of one direction were received. Messages may overtake each other, and none counts twice. */
export class ReplayWindow {
  readonly #seen = new Set<number>();
  #newest = -1;

  /** Whether a counter was received before, or is so old that this is not known any more. */
  isUsed(counter: number): boolean {
    return counter <= this.#newest - WINDOW_MESSAGES || this.#seen.has(counter);
  }

  /** Notes a counter of a message that was authenticated. */
  add(counter: number): void {
    this.#seen.add(counter);
    if (counter <= this.#newest) return;
    // At most as many as the window has: what it slides over is forgotten.
    for (const old of this.#seen) if (old <= counter - WINDOW_MESSAGES) this.#seen.delete(old);
    this.#newest = counter;
  }
}
