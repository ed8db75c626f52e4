/** What the time is. */
export interface FleetTime {
  /** This machine's clock. */
  readonly nowMs: number;
  /** Time of the newest finalized block that is known. It never goes back; 0 before there is any. */
  readonly chainMs: number;
}

/** When something is seen: never before the newest block, because the host could set the own clock back. */
export const sightMs = ({ nowMs, chainMs }: FleetTime): number => Math.max(nowMs, chainMs);

/**
 * From when the delay counts. `own-sight`: from the time at which this node first saw an entry. `issue`: from the time
 * that the authority wrote, against the time of the chain; for a node without memory of its own, and only for whom it
 * asks.
 */
export type DelayFrom = 'own-sight' | 'issue';
