import { Memo } from '../bytes/memo.ts';

/** Names that count for a while, as many as fit: the oldest makes room. */
export class RecentNames {
  /** When each name was added. */
  readonly #names: Memo<number>;

  /** @param options.forMs how long a name counts; `capacity` at least 1. */
  constructor(options: { readonly forMs: number; readonly capacity: number }) {
    this.#names = new Memo(options.capacity, { ttlMs: options.forMs });
  }

  /** Whether the name counts. After a clock was set back it does not: nobody knows how long ago it was added. */
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
