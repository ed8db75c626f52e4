import type { RandomSource } from '../crypto/random.ts';
import type { Clock } from '../time/clock.ts';

/** When the next attempt may be made: after one that brought nothing ever later, with jitter, up to a bound. */
export class AttemptPace {
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #waits: { readonly retryMinMs: number; readonly retryMaxMs: number };
  #notBeforeMs = 0;
  #waitMs: number;

  constructor(
    { clock, random }: { readonly clock: Clock; readonly random: RandomSource },
    waits: { readonly retryMinMs: number; readonly retryMaxMs: number },
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#waits = waits;
    this.#waitMs = waits.retryMinMs;
  }

  /** Whether an attempt may be made now. */
  get isDue(): boolean {
    return this.#clock.nowMs() >= this.#notBeforeMs;
  }

  /** An attempt brought less than was hoped for. */
  backOff(): void {
    const jitter = 0.5 + (this.#random(1)[0] ?? 0) / 255;
    this.#notBeforeMs = this.#clock.nowMs() + this.#waitMs * jitter;
    this.#waitMs = Math.min(this.#waitMs * 2, this.#waits.retryMaxMs);
  }

  /** All is well: the next wait is the shortest again. */
  relax(): void {
    this.#waitMs = this.#waits.retryMinMs;
  }

  /** Something changed for the better: the next attempt may be made at once. */
  hurry(): void {
    this.#notBeforeMs = 0;
    this.relax();
  }
}
