/** Most slots of one generation. */
export const MAX_SLOTS = 16;
const MOST_SERVERS = 5;

/** How many slots there are, and how many open the store. */
export interface Quorum {
  /** 1 ≤ t ≤ n. */
  readonly t: number;
  /** At most {@link MAX_SLOTS}. */
  readonly n: number;
}

/** From this number of servers on, a threshold of 3 is possible at all times. */
const SERVERS_FOR_THREE = 5;

/**
 * Warns of a minimum threshold that is too low for this number of key servers; `undefined` when it is not. With 2, the
 * host and the servers of two machines can make a store that a node takes for its own.
 */
export function thresholdWarning(minimumThreshold: number, servers: number): string | undefined {
  if (servers < SERVERS_FOR_THREE || minimumThreshold !== 2) return undefined;
  return `trust.minimumThreshold is 2 and the chain shows ${servers} key servers: set it to 3, so that two machines alone never open a store`;
}

/**
 * Largest number of slots on one platform or stash when a generation is made: losing it must leave t slots, and it
 * alone must not have t.
 */
export const mostSlotsTogether = ({ t, n }: Quorum): number => Math.max(1, Math.min(n - t, t - 1));

/** Largest number of slots on one platform that count when a store is opened: one machine alone opens none. */
export const mostSlotsOpening = (t: number): number => Math.max(1, t - 1);

/**
 * The quorum for a number of eligible servers. Eligible are the servers on the chain, never the reachable ones: else
 * the host could cut four off to get t = 1.
 *
 * | eligible | without bootstrap | with bootstrap |
 * |---|---|---|
 * | 0 | none | none |
 * | 1 | none | 1 of 1 |
 * | 2 | none | 1 of 2 |
 * | 3, 4, 5 or more | 2 of 3, 3 of 4, 3 of 5 | the same |
 * @returns `undefined` when there are too few servers to be backed.
 */
export function thresholdFor(eligible: number, options: { readonly bootstrap: boolean }): Quorum | undefined {
  if (!Number.isInteger(eligible) || eligible < 0) {
    throw new RangeError(`eligible must be a count, got ${eligible}`);
  }
  const n = Math.min(MOST_SERVERS, eligible);
  if (n >= 3) return { t: Math.floor(n / 2) + 1, n };
  return n > 0 && options.bootstrap ? { t: 1, n } : undefined;
}
