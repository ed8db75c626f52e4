/** The clock and the timers of the service; tests pass virtual ones. */
export interface Scheduler {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** Runs `task` once after `delayMs`; the function returned cancels it. */
  after(delayMs: number, task: () => void): () => void;
}

/** Real time. Waiting requests keep the process alive through their sockets, so the timers need not. */
export const systemScheduler: Scheduler = {
  nowMs: () => Date.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
