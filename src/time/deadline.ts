import type { Clock } from './clock.ts';
import { startTimer, type Timer } from './timer.ts';

/** Why an operation's signal aborts; without a reason, every abort would make a DOMException with its own stack. */
const OVER = new Error('the operation is over');

/**
 * Runs an operation with a deadline.
 * @returns its result, or `undefined` when the deadline passed first; the operation's signal is aborted then.
 */
export async function withDeadline<T>(
  clock: Clock,
  milliseconds: number,
  operation: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
): Promise<T | undefined> {
  const abort = new AbortController();
  const forward = () => abort.abort(OVER);
  outer?.addEventListener('abort', forward, { once: true });
  if (outer?.aborted) forward();
  const running = operation(abort.signal);
  // After the deadline the result of the operation is not used.
  running.catch(() => undefined);
  let timer: Timer | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = startTimer(clock, milliseconds, () => {
      resolve(undefined);
      abort.abort(OVER);
    });
  });
  try {
    return await Promise.race([running, late]);
  } finally {
    timer?.stop();
    outer?.removeEventListener('abort', forward);
  }
}
