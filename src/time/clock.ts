/** Time as an argument, so that simulations can run hours in milliseconds. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** Resolves after this many milliseconds, or at once when the signal aborts; never rejects. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Milliseconds since some moment. It cannot be set, so it measures how long something takes; without it, nowMs. */
  readonly monotonicMs?: () => number;
  /**
   * Calls once after this many milliseconds; returns what cancels the call. For calls that are usually cancelled: an
   * abort signal costs more than the timer. Without it, sleep.
   */
  readonly schedule?: (milliseconds: number, onTime: () => void) => () => void;
}

/** Milliseconds by the clock that cannot be set, where there is one. */
export const monotonicMsOf = (clock: Clock): number => clock.monotonicMs?.() ?? clock.nowMs();

/** The system's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const finish = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, milliseconds);
      signal?.addEventListener('abort', finish, { once: true });
    }),
  schedule: (milliseconds, onTime) => {
    const timer = setTimeout(onTime, milliseconds);
    return () => clearTimeout(timer);
  },
};

/**
 * A clock that never runs below what was proved: the host sets the system's clock, but cannot take back a block or a
 * sealed server time that this process has seen. From the proved time on it runs by the monotonic clock, where there is
 * one: a slow clock must not stand still until the real time has reached what was proved.
 */
export class FlooredClock implements Clock {
  readonly #clock: Clock;
  #floorMs = 0;
  /** The proved time that runs on, and when it was proved by the monotonic clock. */
  #proved = { timeMs: 0, atMs: 0 };
  readonly schedule?: NonNullable<Clock['schedule']>;

  constructor(clock: Clock) {
    this.#clock = clock;
    if (clock.schedule !== undefined) this.schedule = clock.schedule.bind(clock);
  }

  nowMs(): number {
    return Math.max(this.#clock.nowMs(), this.#provedMs());
  }

  monotonicMs(): number {
    return monotonicMsOf(this.#clock);
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return this.#clock.sleep(milliseconds, signal);
  }

  /** Time was at least this; earlier values change nothing. */
  raise(milliseconds: number): void {
    this.#floorMs = Math.max(this.#floorMs, milliseconds);
    if (milliseconds <= this.#provedMs()) return;
    this.#proved = { timeMs: milliseconds, atMs: this.#clock.monotonicMs?.() ?? 0 };
  }

  /** The floor itself, to be kept across restarts. */
  get floorMs(): number {
    return this.#floorMs;
  }

  #provedMs(): number {
    const { timeMs, atMs } = this.#proved;
    if (timeMs === 0) return 0;
    return Math.floor(timeMs + (this.#clock.monotonicMs?.() ?? 0) - atMs);
  }
}
