/** Bounded set of names with a time to live; evicts the oldest. */
export class RecentNames {
  readonly #atMs = new Map<string, number>();
  readonly #forMs: number;
  readonly #capacity: number;

  /** @param options.forMs how long a name counts; `capacity` at least 1. */
  constructor(options: { readonly forMs: number; readonly capacity: number }) {
    this.#forMs = options.forMs;
    this.#capacity = options.capacity;
  }

  /** Whether the name counts. After the clock was set back it does not: its age is unknown then. */
  has(name: string, nowMs: number): boolean {
    const atMs = this.#atMs.get(name);
    if (atMs === undefined) return false;
    if (nowMs >= atMs && nowMs < atMs + this.#forMs) return true;
    this.#atMs.delete(name);
    return false;
  }

  /** Lets the name count from now on. */
  add(name: string, nowMs: number): void {
    // Maps iterate in order of insertion: taking it out first makes this entry the newest.
    this.#atMs.delete(name);
    if (this.#atMs.size >= this.#capacity) {
      const oldest = this.#atMs.keys().next();
      if (oldest.done !== true) this.#atMs.delete(oldest.value);
    }
    this.#atMs.set(name, nowMs);
  }
}
