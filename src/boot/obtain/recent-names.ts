import { Memo } from '../../bytes/memo.ts';

/** Bounded set of names with a time to live; evicts the oldest. */
export class RecentNames {
  /** When each name was added. */
  readonly #names: Memo<number>;

  /** @param options.forMs how long a name counts; `capacity` at least 1. */
  constructor(options: { readonly forMs: number; readonly capacity: number }) {
    this.#names = new Memo(options.capacity, { ttlMs: options.forMs });
  }

  /** Whether the name counts. After the clock was set back it does not: its age is unknown then. */
  has(name: string, nowMs: number): boolean {
    const atMs = this.#names.find(name, nowMs);
    if (atMs === undefined || nowMs >= atMs) return atMs !== undefined;
    this.#names.delete(name);
    return false;
  }

  /** Lets the name count from now on. */
  add(name: string, nowMs: number): void {
    this.#names.set(name, nowMs, nowMs);
  }
}
