import type { RandomSource } from '../../crypto/random.ts';
import type { Clock } from '../../time/clock.ts';

/**
 * When the next attempt may be made: with exponential back-off and jitter after a failed one, up to a bound. A hint may
 * bring it forward, also with a back-off, so that a flood of hints does not cause a flood of attempts.
 */
export class AttemptPace {
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #waits: { readonly retryMinMs: number; readonly retryMaxMs: number };
  /** The attempt before, and how long the next one waits after it. */
  #attemptedAtMs = 0;
  #pauseMs = 0;
  #waitMs: number;
  #hurriedAtMs = Number.NEGATIVE_INFINITY;
  #hurryWaitMs: number;

  constructor(
    { clock, random }: { readonly clock: Clock; readonly random: RandomSource },
    waits: { readonly retryMinMs: number; readonly retryMaxMs: number },
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#waits = waits;
    this.#waitMs = waits.retryMinMs;
    this.#hurryWaitMs = waits.retryMinMs;
  }

  /** Whether an attempt may be made now. */
  get isDue(): boolean {
    const elapsedMs = this.#clock.nowMs() - this.#attemptedAtMs;
    // A clock that was set back must not keep the node waiting for as long as that.
    return elapsedMs < 0 || elapsedMs >= this.#pauseMs;
  }

  /** An attempt brought less than was hoped for. */
  backOff(): void {
    const jitter = 0.5 + (this.#random(1)[0] ?? 0) / 255;
    this.#attemptedAtMs = this.#clock.nowMs();
    this.#pauseMs = this.#waitMs * jitter;
    this.#waitMs = Math.min(this.#waitMs * 2, this.#waits.retryMaxMs);
  }

  /** All is well: the next waits are the shortest again. */
  relax(): void {
    this.#waitMs = this.#waits.retryMinMs;
    this.#hurryWaitMs = this.#waits.retryMinMs;
  }

  /** Something changed, perhaps for the better: the next attempt may be made at once. */
  hurry(): void {
    const nowMs = this.#clock.nowMs();
    if (this.isDue || Math.abs(nowMs - this.#hurriedAtMs) < this.#hurryWaitMs) return;
    this.#hurriedAtMs = nowMs;
    this.#hurryWaitMs = Math.min(this.#hurryWaitMs * 2, this.#waits.retryMaxMs);
    this.#pauseMs = 0;
  }
}
