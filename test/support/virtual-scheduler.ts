import type { Scheduler } from '../../src/decryptions/scheduler.ts';

interface Timer {
  readonly atMs: number;
  readonly task: () => void;
}

/** A clock that moves only when a test moves it. */
export class VirtualScheduler implements Scheduler {
  readonly #timers = new Set<Timer>();
  #nowMs: number;

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  /** Timers that have not run and were not cancelled. */
  get pending(): number {
    return this.#timers.size;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, task };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Resolves after so much virtual time. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }

  /** Moves the clock, running timers in order of time, then of arrival, each after all promises have settled. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settled();
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.atMs <= untilMs);
      const next = due.sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.task();
      await settled();
    }
    this.#nowMs = untilMs;
  }
}

/** Lets everything run that waits for promises only. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
