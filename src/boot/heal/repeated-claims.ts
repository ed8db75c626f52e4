import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';

/** How long a server is asked last after its slot was replaced, in milliseconds. */
const LAST_FOR_MS = 3_600_000;
/** After this time without a replacement a server has its first claim again, in milliseconds. */
const REMEMBERED_FOR_MS = 86_400_000;

interface Replacements {
  count: number;
  atMs: number;
}

/**
 * Servers that lost their slot because of what they said of themselves ("I drain", "I hold no key for this slot").
 * The first claim of a server counts at once, each later one must last twice as long as the one before: a liar would
 * cause a new generation with every claim. Kept by account, because a server chooses its instance id.
 */
export class RepeatedClaims {
  readonly #patienceMs: number;
  readonly #maxDoublings: number;
  readonly #replaced = new Map<string, Replacements>();

  /**
   * @param options.patienceMs how long the second claim must last.
   * @param options.maxDoublings cap on the growth of that time.
   */
  constructor(options: { readonly patienceMs: number; readonly maxDoublings: number }) {
    this.#patienceMs = options.patienceMs;
    this.#maxDoublings = options.maxDoublings;
  }

  /** How long a claim of this server must last before its slot is replaced, in milliseconds. */
  waitMs(server: AccountId, nowMs: number): number {
    const count = this.#countOf(server, nowMs);
    return count === 0 ? 0 : this.#patienceMs * 2 ** Math.min(count - 1, this.#maxDoublings);
  }

  /** Notes that the slots of these servers were replaced because of their claims. */
  replaced(servers: readonly AccountId[], nowMs: number): void {
    for (const server of servers) {
      this.#replaced.set(toHex(server), { count: this.#countOf(server, nowMs) + 1, atMs: nowMs });
    }
  }

  /** Whether the slot of a server was replaced a short time ago, so that others are asked before it. */
  isLast(server: AccountId, nowMs: number): boolean {
    const known = this.#replaced.get(toHex(server));
    return known !== undefined && nowMs >= known.atMs && nowMs - known.atMs < LAST_FOR_MS;
  }

  #countOf(server: AccountId, nowMs: number): number {
    const known = this.#replaced.get(toHex(server));
    return known !== undefined && nowMs - known.atMs < REMEMBERED_FOR_MS ? known.count : 0;
  }
}
