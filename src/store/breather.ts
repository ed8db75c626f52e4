/** Work between two turns of the event loop. */
const SLICE_MS = 4;

/** Lets requests and timers run between slices of long work. */
export class Breather {
  #until = performance.now() + SLICE_MS;

  /** Whether the slice is over; asking is cheaper than a {@link pause} that returns at once. */
  get isDue(): boolean {
    return performance.now() >= this.#until;
  }

  /** Returns at once, or after a turn of the event loop when a slice is over. */
  async pause(): Promise<void> {
    if (!this.isDue) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#until = performance.now() + SLICE_MS;
  }
}
