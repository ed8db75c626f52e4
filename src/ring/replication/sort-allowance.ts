/** Lists of absent members for which one member may have all records sorted at once, and how long it waits for one more. */
const MOST_AT_ONCE = 4;
const ONE_MORE_AFTER_MS = 20_000;

/** How often each member may have all records sorted by another list of absent members. */
export class SortAllowance {
  /** When the last ones of each member count no more; members only, so it is bounded by them. */
  readonly #busyUntilMs = new Map<string, number>();

  /** Takes one. @returns whether there was one. */
  take(member: string, nowMs: number): boolean {
    const untilMs = Math.max(this.#busyUntilMs.get(member) ?? 0, nowMs) + ONE_MORE_AFTER_MS;
    if (untilMs - nowMs > MOST_AT_ONCE * ONE_MORE_AFTER_MS) return false;
    this.#busyUntilMs.set(member, untilMs);
    return true;
  }
}
