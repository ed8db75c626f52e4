import { ProblemError } from '../errors/latchkey-error.ts';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 60_000;
/** A chain is upgraded every few weeks: who needed no decoder for so long starts from the shortest pause again. */
const FORGET_MS = 600_000;

/**
 * How often one endpoint may have a decoder process started for it: the pause after each doubles, whether it failed or
 * not, because new metadata with every read costs as much as bad metadata.
 */
export class DecodePace {
  readonly #now: () => number;
  #startedAt = Number.NEGATIVE_INFINITY;
  #starts = 0;

  /** @param now monotonic clock in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** @throws ProblemError CHAIN_UNAVAILABLE while the pause lasts. */
  check(): void {
    const pauseMs =
      this.#starts === 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#starts - 1));
    const leftMs = this.#startedAt + pauseMs - this.#now();
    if (leftMs <= 0) return;
    const message = `the endpoint's metadata is decoded again in ${Math.ceil(leftMs)} ms: it changes or fails too often`;
    throw new ProblemError('CHAIN_UNAVAILABLE', message, { retryAfterMs: Math.ceil(leftMs) });
  }

  started(): void {
    const now = this.#now();
    this.#starts = now - this.#startedAt > FORGET_MS ? 1 : this.#starts + 1;
    this.#startedAt = now;
  }
}
