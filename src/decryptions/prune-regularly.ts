import type { DecryptionService, PruneRule } from './decryption-service.ts';

/** What to prune, and how often. */
export interface RegularPruning {
  readonly everyMs: number;
  readonly maxAgeMs?: number | undefined;
  readonly maxCount?: number | undefined;
}

/**
 * Prunes again and again; a pruning that takes longer than its interval is not joined by another.
 * @param onError is told of failures; the next turn tries again.
 * @returns what stops it.
 */
export function pruneRegularly(
  service: DecryptionService,
  pruning: RegularPruning | undefined,
  onError: (error: unknown) => void,
): () => void {
  if (pruning === undefined) return () => undefined;
  const { everyMs, maxAgeMs, maxCount } = pruning;
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
