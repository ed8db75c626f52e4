/** Most refusals that are kept; the log has all. */
const MAX_KEPT = 50;
/** Longest detail that is kept; parts of it come from the requester. */
const MAX_DETAIL = 500;

/** A request that this server refused. */
export interface Refusal {
  readonly atMs: number;
  /** Code of docs/errors.md. */
  readonly code: string;
  readonly detail: string;
  /** As in the log. */
  readonly requestId: string;
}

/** The newest refused requests, in memory, for the status page. */
export class RecentRefusals {
  readonly #kept: Refusal[] = [];

  add(refusal: Refusal): void {
    this.#kept.unshift({ ...refusal, detail: refusal.detail.slice(0, MAX_DETAIL) });
    this.#kept.length = Math.min(this.#kept.length, MAX_KEPT);
  }

  /** The newest first. */
  get list(): readonly Refusal[] {
    return this.#kept;
  }
}
