import { thresholdFor } from '../keyslots/threshold.ts';

/** What the trust section of a new network should say. */
export interface ThresholdAdvice {
  /** `trust.minimumThreshold`. */
  readonly minimumThreshold: number;
  /** `trust.bootstrap`. */
  readonly bootstrap: boolean;
  /** Machines, any, that may fail in one moment without loss of a store. */
  readonly together: number;
}

/**
 * The advice for a network in which all nodes are key servers: each has the others as its servers.
 * @throws RangeError for fewer than 2 nodes.
 */
export function adviceFor(nodes: number): ThresholdAdvice {
  const sound = thresholdFor(nodes - 1, { bootstrap: false });
  const quorum = sound ?? thresholdFor(nodes - 1, { bootstrap: true });
  if (quorum === undefined) throw new RangeError(`a network needs at least 2 nodes, got ${nodes}`);
  const { t, n } = quorum;
  return { minimumThreshold: t, bootstrap: sound === undefined, together: n - t + 1 };
}
