/** w: how many of the replicas of a record have to store a write, a majority. */
export const writeQuorum = (replicas: number): number => Math.floor(replicas / 2) + 1;

/** r: how many replicas a reader has to hear, so that every read meets every write: r + w = replicas + 1. */
export const readQuorum = (replicas: number): number => Math.max(1, replicas + 1 - writeQuorum(replicas));
