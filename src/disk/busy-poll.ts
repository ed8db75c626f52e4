import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers';

/** Writes that take longer are slept through: waking up is little beside them. */
const WORTHWHILE_MS = 0.4;
/** No single write is waited for like this any longer. */
const PATIENCE_MS = 0.25;
/** So many writes in a row are waited for in the same way: the kernel needs a few to place the threads for it. */
const RUN_WRITES = 16;
const SETTLING_WRITES = 4;
/** One run in so many is done the other way, to see whether that is better now. */
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
  #way: Way = 'asleep';
  #writes = 0;
  #runs = 0;
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
    if (this.#writes++ % RUN_WRITES === 0) this.#way = this.#choose();
    const way = this.#way;
    const isSettled = this.#writes % RUN_WRITES > SETTLING_WRITES;
    const startMs = this.#nowMs();
    this.#pending += 1;
    if (way === 'awake') {
      this.#untilMs = startMs + PATIENCE_MS;
      this.#turn();
    }
    return () => {
      this.#pending -= 1;
      if (!isSettled) return;
      const tookMs = Math.min(this.#nowMs() - startMs, WORST_MS);
      const before = this.#averageMs[way] ?? tookMs;
      this.#averageMs[way] = before + (tookMs - before) * WEIGHT;
    };
  }

  #choose(): Way {
    const { awake = 0, asleep = 0 } = this.#averageMs;
    if (!this.#hasProcessorToSpare || asleep > WORTHWHILE_MS) return 'asleep';
    this.#runs += 1;
    const isProbe = this.#runs % PROBE_EVERY === 0;
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
