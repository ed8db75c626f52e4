import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers';

/** Writes that typically take longer are slept through: waking up is little beside them. */
const WORTHWHILE_MS = 0.2;
/** No single write is waited for like this any longer. */
const PATIENCE_MS = 2 * WORTHWHILE_MS;
/** What one slow write counts as, so that a hiccup of the disk is not taken for its nature. */
const WORST_MS = 1;
const WEIGHT = 1 / 8;

/**
 * Keeps the event loop turning instead of sleeping while the disk makes a short write durable. A thread that went to
 * sleep wakes up late and with cold caches, which on a fast disk costs a third of the whole write. The loop serves
 * everything else meanwhile. On a disk that is not that fast, and on a single processor, it sleeps as ever.
 */
export class BusyPoll {
  readonly #nowMs: () => number;
  readonly #hasProcessorToSpare: boolean;
  #typicalMs = 0;
  #pending = 0;
  #untilMs = 0;
  #turning = false;

  constructor(nowMs = () => performance.now(), hasProcessorToSpare = availableParallelism() > 1) {
    this.#nowMs = nowMs;
    this.#hasProcessorToSpare = hasProcessorToSpare;
  }

  /** Whether the loop is kept turning now. */
  get isTurning(): boolean {
    return this.#turning;
  }

  /** A write is on its way. @returns what to call, once, when it ended. */
  begin(): () => void {
    const startMs = this.#nowMs();
    this.#pending += 1;
    if (this.#hasProcessorToSpare && this.#typicalMs < WORTHWHILE_MS) {
      this.#untilMs = startMs + PATIENCE_MS;
      this.#turn();
    }
    return () => {
      this.#pending -= 1;
      const tookMs = Math.min(this.#nowMs() - startMs, WORST_MS);
      this.#typicalMs += (tookMs - this.#typicalMs) * WEIGHT;
    };
  }

  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(this.#next);
  }

  readonly #next = (): void => {
    this.#turning = false;
    if (this.#pending > 0 && this.#nowMs() < this.#untilMs) this.#turn();
  };
}
