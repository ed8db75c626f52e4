/** Keeps track of running work, so that a pruning can wait for writes that passed its check before. */
export class InFlight {
  readonly #work = new Set<Promise<unknown>>();

  /** Runs the task and returns its result. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    const work = task();
    this.#work.add(work);
    try {
      return await work;
    } finally {
      this.#work.delete(work);
    }
  }

  /** Resolves when all tasks that run now have ended, successfully or not. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#work);
  }
}
