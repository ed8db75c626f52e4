import type { Clock } from './clock.ts';

/** Why a timer's signal aborts; without a reason, every abort would make a DOMException with its own stack. */
const STOPPED = new Error('the timer was stopped');

/** A scheduled call. */
export interface Timer {
  /** Cancels the call. */
  stop(): void;
}

/** Calls once, after a number of milliseconds by the clock. */
export function startTimer(clock: Clock, milliseconds: number, onTime: () => void): Timer {
  if (clock.schedule !== undefined) return { stop: clock.schedule(milliseconds, onTime) };
  const abort = new AbortController();
  void clock.sleep(milliseconds, abort.signal).then(() => {
    if (!abort.signal.aborted) onTime();
  });
  return { stop: () => abort.abort(STOPPED) };
}
