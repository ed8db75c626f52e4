import { ProblemError } from '../errors/latchkey-error.ts';
import type { Clock } from '../time/clock.ts';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 60_000;
/** A chain is upgraded every few weeks: an endpoint that needed no decoder for so long starts from the shortest pause again. */
const FORGET_MS = 600_000;

/**
 * Limits how often a decoder process is started for one endpoint. The pause doubles after each process, also after a
 * success, because new metadata with every read cost as much as bad metadata.
 */
export class DecodePace {
  readonly #clock: Clock;
  #startedAt = Number.NEGATIVE_INFINITY;
  #starts = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws ProblemError CHAIN_UNAVAILABLE while the pause lasts. */
  check(): void {
    const pauseMs =
      this.#starts === 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#starts - 1));
    // A clock that was set back must not make the pause longer.
    this.#startedAt = Math.min(this.#startedAt, this.#clock.nowMs());
    const leftMs = this.#startedAt + pauseMs - this.#clock.nowMs();
    if (leftMs <= 0) return;
    const message = `the endpoint's metadata is decoded again in ${Math.ceil(leftMs)} ms: it changes or fails too often`;
    throw new ProblemError('CHAIN_UNAVAILABLE', message, { retryAfterMs: Math.ceil(leftMs) });
  }

  started(): void {
    const now = this.#clock.nowMs();
    this.#starts = now - this.#startedAt > FORGET_MS ? 1 : this.#starts + 1;
    this.#startedAt = now;
  }
}
