import { ProblemError } from '../errors/latchkey-error.ts';

/** A waiting request; called at most once, and no longer registered afterwards. */
export type Waiter<T> = (news: T) => void;

/**
 * The requests that wait for each key. Everything is synchronous, so that no write can happen between the check that a
 * key is absent and the registration of its waiter. A key without waiters has no entry, so random keys use no memory.
 */
export class Waiters<T> {
  readonly #waiters = new Map<string, Set<Waiter<T>>>();
  readonly #capacity: number;
  #count = 0;

  /** @param capacity at most this many waiters, over all keys. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Waiters over all keys. */
  get count(): number {
    return this.#count;
  }

  /** Keys that have waiters. */
  get keys(): number {
    return this.#waiters.size;
  }

  /** Whether anybody waits for the key. */
  has(key: string): boolean {
    return this.#waiters.has(key);
  }

  /** The keys that have waiters. */
  names(): readonly string[] {
    return [...this.#waiters.keys()];
  }

  /**
   * Adds a waiter.
   * @returns a function that removes the waiter; after it was woken, and a second time, the function does nothing.
   * @throws ProblemError DECRYPTION_WAITERS_FULL at the capacity.
   */
  add(key: string, waiter: Waiter<T>): () => void {
    if (this.#count >= this.#capacity) {
      throw new ProblemError('DECRYPTION_WAITERS_FULL', `${this.#count} requests are waiting already`, {
        hint: 'raise maxWaiters, or ask again later',
      });
    }
    const waiters = this.#waiters.get(key) ?? new Set();
    this.#waiters.set(key, waiters);
    waiters.add(waiter);
    this.#count += 1;
    return () => this.#leave(key, waiters, waiter);
  }

  /** Wakes all waiters of the key, in order of arrival, and removes its entry. */
  wake(key: string, news: T): number {
    const waiters = this.#waiters.get(key);
    if (waiters === undefined) return 0;
    // Removed first: a waiter that registers again while it is called waits for the next message.
    this.#waiters.delete(key);
    this.#count -= waiters.size;
    const woken = [...waiters];
    waiters.clear();
    for (const waiter of woken) waiter(news);
    return woken.length;
  }

  /** Wakes all waiters. */
  wakeAll(news: T): void {
    for (const key of [...this.#waiters.keys()]) this.wake(key, news);
  }

  #leave(key: string, waiters: Set<Waiter<T>>, waiter: Waiter<T>): void {
    if (!waiters.delete(waiter)) return;
    this.#count -= 1;
    if (waiters.size === 0 && this.#waiters.get(key) === waiters) this.#waiters.delete(key);
  }
}
