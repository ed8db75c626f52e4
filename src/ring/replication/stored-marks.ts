import { concatBytes } from '../../bytes/concat.ts';
import { toHex, tryFromHex } from '../../bytes/hex.ts';
import { readU64BigEndian, u64BigEndian } from '../../bytes/integers.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import type { Namespace } from '../../store/api/store-api.ts';
import { MARK_LIFE_MS, type MarkStore } from './entry.ts';

const ATTEMPT_BYTES = 16;
/** Most marks of one node, some 100 bytes each. */
const MAX_MARKS = 200_000;

/** Marks in a namespace of the node's store: by the mark in hex, attempt ‖ u64 time of the chain. */
export class StoredMarks implements MarkStore {
  readonly #namespace: Namespace;
  readonly #maxMarks: number;
  #sweptAtMs = 0;

  constructor(namespace: Namespace, maxMarks = MAX_MARKS) {
    this.#namespace = namespace;
    this.#maxMarks = maxMarks;
  }

  async claim(mark: string, attempt: string, nowMs: number): Promise<string> {
    // In the time of the chain, which a host can stop and not turn.
    if (nowMs - this.#sweptAtMs >= MARK_LIFE_MS) await this.#sweep(nowMs);
    const present = await this.#namespace.get(mark);
    if (present !== undefined) return toHex(present.subarray(0, ATTEMPT_BYTES));
    if (this.#namespace.size >= this.#maxMarks)
      throw new ProblemError('RING_MARKS_FULL', 'this node remembers as many begun requests as it may', {
        expected: `at most ${this.#maxMarks}`,
        retryAfterMs: 60_000,
      });
    const value = concatBytes(tryFromHex(attempt) ?? new Uint8Array(ATTEMPT_BYTES), u64BigEndian(nowMs));
    if (await this.#namespace.putIfAbsent(mark, value)) return attempt;
    return this.claim(mark, attempt, nowMs);
  }

  async #sweep(nowMs: number): Promise<void> {
    this.#sweptAtMs = nowMs;
    const over: string[] = [];
    for await (const [mark, value] of this.#namespace.entries())
      if (Number(readU64BigEndian(value, ATTEMPT_BYTES)) + MARK_LIFE_MS <= nowMs) over.push(mark);
    for (const mark of over) await this.#namespace.delete(mark);
  }
}
