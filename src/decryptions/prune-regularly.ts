import { requireInteger } from '../bytes/require-value.ts';
import type { DecryptionService, PruneRule } from './decryption-service.ts';

/** Longest interval of a timer in milliseconds; Node treats a longer interval as 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Which results to prune, and how often. */
export interface RegularPruning {
  readonly everyMs: number;
  readonly maxAgeMs?: number | undefined;
  readonly maxCount?: number | undefined;
}

/**
 * Prunes at intervals; a new pruning does not start while one runs.
 * @param onError Called for each failure; the next interval tries again.
 * @returns a function that stops it.
 * @throws RangeError for an interval that is no integer, or longer than a timer can wait (24 days).
 */
export function pruneRegularly(
  service: DecryptionService,
  pruning: RegularPruning | undefined,
  onError: (error: unknown) => void,
): () => void {
  if (pruning === undefined) return () => undefined;
  const { everyMs, maxAgeMs, maxCount } = pruning;
  requireInteger(everyMs, 'everyMs', MAX_TIMER_MS);
  const rule: PruneRule = {
    ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
    ...(maxCount === undefined ? {} : { maxCount }),
  };
  let running = false;
  const timer = setInterval(() => {
    if (running) return;
    running = true;
    service
      .prune(rule)
      .catch(onError)
      .finally(() => {
        running = false;
      });
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
