/** Remembers work that is under way, so that a pruning can wait for the writes that passed its guard before. */
export class InFlight {
  readonly #work = new Set<Promise<unknown>>();

  /** Runs the task and gives what it gives. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    const work = task();
    this.#work.add(work);
    try {
      return await work;
    } finally {
      this.#work.delete(work);
    }
  }

  /** Resolves when all that is under way now has ended, one way or the other. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#work);
  }
}
