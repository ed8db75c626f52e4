/**
 * Lets one task at a time through per key, in order of arrival, for services that read before they write. Keys without
 * a task cost nothing.
 */
export class KeyedLock<Key> {
  readonly #tails = new Map<Key, Promise<void>>();

  /** Number of keys that are held or awaited. */
  get size(): number {
    return this.#tails.size;
  }

  /** Runs the task alone for its key, and gives what it gives; a task that throws lets the next one in. */
  async run<T>(key: Key, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const { promise, release } = gate();
    this.#tails.set(key, promise);
    // The uncontended case must not wait: a waiter registers and a writer checks in one synchronous step.
    if (before !== undefined) await before;
    try {
      return await task();
    } finally {
      if (this.#tails.get(key) === promise) this.#tails.delete(key);
      release();
    }
  }
}

function gate(): { readonly promise: Promise<void>; readonly release: () => void } {
  let release = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}
