/** The outcome of a lookup. */
export type LookupOutcome = 'hit' | 'woken' | 'found-at-deadline' | 'missing' | 'aborted';

/** The outcome of a write; `unchanged`: the same value was stored before, so nothing was written. */
export type WriteOutcome = 'written' | 'unchanged';

/** Hooks of the service; called synchronously, so they must be quick and must not throw. */
export interface DecryptionMetrics {
  lookup(outcome: LookupOutcome, waitedMs: number): void;
  write(outcome: WriteOutcome): void;
  /** Number of requests that wait now, whenever it changed. */
  waiting(count: number): void;
  removed(count: number): void;
}

/** Counts nothing. */
export const noMetrics: DecryptionMetrics = {
  lookup: () => undefined,
  write: () => undefined,
  waiting: () => undefined,
  removed: () => undefined,
};
