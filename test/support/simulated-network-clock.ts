import type { Clock } from '../../src/time/clock.ts';

interface Sleeper {
  readonly untilMs: number;
  readonly wake: () => void;
}

/**
 * Virtual time: it stands still while anything can still run, and then jumps to the next sleeper. Hours of a network
 * pass in milliseconds, and the same seed gives the same order of events.
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true || milliseconds <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      // Clocks tell whole milliseconds.
      const sleeper = { untilMs: this.#nowMs + Math.ceil(milliseconds), wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  schedule(milliseconds: number, onTime: () => void): () => void {
    const wake = (): void => {
      this.#sleepers.delete(sleeper);
      onTime();
    };
    const sleeper = { untilMs: this.#nowMs + Math.max(0, Math.ceil(milliseconds)), wake };
    this.#sleepers.add(sleeper);
    return () => this.#sleepers.delete(sleeper);
  }

  /** Advances the time. Sleepers wake in the order of their times, then in the order in which they went to sleep. */
  async advance(milliseconds: number): Promise<void> {
    const endMs = this.#nowMs + milliseconds;
    for (;;) {
      await quiet();
      const next = this.#nextWithin(endMs);
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.untilMs);
      next.wake();
    }
    this.#nowMs = endMs;
  }

  /** Lets time pass until a promise settles, at most so much. */
  async until<T>(work: Promise<T>, atMostMs = 3_600_000): Promise<T> {
    let settled = false;
    const done = () => {
      settled = true;
    };
    work.then(done, done);
    const endMs = this.#nowMs + atMostMs;
    for (await quiet(); !settled; await quiet()) {
      const next = this.#nextWithin(endMs);
      if (next === undefined) throw new Error(`nothing happened within ${atMostMs} ms of virtual time`);
      this.#nowMs = Math.max(this.#nowMs, next.untilMs);
      next.wake();
    }
    return work;
  }

  #nextWithin(endMs: number): Sleeper | undefined {
    let next: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (sleeper.untilMs <= endMs && (next === undefined || sleeper.untilMs < next.untilMs)) next = sleeper;
    }
    return next;
  }
}

/** Resolves when no work is left that runs without a timer: no pending promise job, no immediate. */
async function quiet(): Promise<void> {
  do {
    await new Promise((resolve) => setImmediate(resolve));
  } while (process.getActiveResourcesInfo().includes('Immediate'));
}
