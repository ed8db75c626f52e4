import type { AuditFields } from './audit-entry.ts';

/** How many refusals of a period are recorded with account and request. */
const MAX_SAMPLES = 16;

/**
 * Counts the refused requests of a period. However many there are, the log grows by one entry, so that a flood of them
 * does not push releases out of the log.
 */
export class RefusalCounts {
  #counts = new Map<string, number>();
  #samples: string[] = [];

  /** @param requestId as in the log of the process. */
  add(code: string, requestId: string): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
    if (this.#samples.length < MAX_SAMPLES) this.#samples.push(`${code} ${requestId}`);
  }

  /** The entry of the period that ends, or `undefined` when nothing was refused; a new period begins. */
  take(): AuditFields | undefined {
    if (this.#counts.size === 0) return undefined;
    const counts = [...this.#counts].map(([code, count]) => `${code} ${count}`).sort();
    const total = [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
    const fields = { total, counts, first: this.#samples };
    this.#counts = new Map();
    this.#samples = [];
    return fields;
  }
}
