import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers';

/** Writes that take longer are slept through: waking up is little beside them. */
const WORTHWHILE_MS = 0.4;
/** No single write is waited for like this any longer. */
const PATIENCE_MS = 0.25;
/** One write in so many is waited for the other way, to see whether that is better now. */
const PROBE_EVERY = 16;
/** What one slow write counts as, so that a hiccup of the disk is not taken for its nature. */
const WORST_MS = 0.5;
const WEIGHT = 1 / 16;

/** How the event loop waits. */
type Way = 'awake' | 'asleep';

/**
 * Keeps the event loop turning instead of sleeping while the disk makes a short write durable, where that is quicker.
 * A thread that went to sleep wakes up late and with cold caches: on a fast disk a third of the whole write. But one
 * that stays awake is in the way of the thread that writes when no processor is free for it. So both ways are measured
 * all the time and the better is taken. The loop serves everything else meanwhile.
 */
export class BusyPoll {
  readonly #nowMs: () => number;
  readonly #hasProcessorToSpare: boolean;
  readonly #averageMs: Partial<Record<Way, number>> = {};
  #writes = 0;
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
    const way = this.#choose();
    const startMs = this.#nowMs();
    this.#pending += 1;
    if (way === 'awake') {
      this.#untilMs = startMs + PATIENCE_MS;
      this.#turn();
    }
    return () => {
      this.#pending -= 1;
      const tookMs = Math.min(this.#nowMs() - startMs, WORST_MS);
      const before = this.#averageMs[way] ?? tookMs;
      this.#averageMs[way] = before + (tookMs - before) * WEIGHT;
    };
  }

  #choose(): Way {
    const { awake = 0, asleep = 0 } = this.#averageMs;
    if (!this.#hasProcessorToSpare || asleep > WORTHWHILE_MS) return 'asleep';
    this.#writes += 1;
    const isProbe = this.#writes % PROBE_EVERY === 0;
    return awake < asleep !== isProbe ? 'awake' : 'asleep';
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
