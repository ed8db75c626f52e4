import { readQuorum, writeQuorum } from './quorum.ts';

/** Accounts of one R(id), lower-case hex. */
export type ReplicaSet = readonly string[];

/**
 * The sets that are responsible for one record: R(id), and while the members change the old and the new R(id). An
 * operation needs its quorum in every one of them, not in their union.
 */
export type Configuration = readonly [ReplicaSet] | readonly [old: ReplicaSet, next: ReplicaSet];

/** A configuration while one set replaces another; one set when the change does not concern the record. */
export const changing = (old: ReplicaSet, next: ReplicaSet): Configuration =>
  sameSet(old, next) ? [old] : [old, next];

const sameSet = (a: ReplicaSet, b: ReplicaSet): boolean =>
  a.length === b.length && a.every((account) => b.includes(account));

/**
 * Whether a holder may serve a request that was computed for another holder's or reader's configuration: only when it
 * is its own. So a writer with an old view and a reader with a new one cannot miss each other.
 */
export const sameConfiguration = (a: Configuration, b: Configuration): boolean =>
  a.length === b.length && a.every((set, index) => sameSet(set, b[index] ?? []));

const count = (set: ReplicaSet, accounts: ReadonlySet<string>): number =>
  set.filter((account) => accounts.has(account)).length;

/** Whether a write is durable at enough holders to be acknowledged. */
export const isWritten = (configuration: Configuration, durable: ReadonlySet<string>): boolean =>
  configuration.every((set) => count(set, durable) >= writeQuorum(set.length));

/** Whether so many holders of one set refuse a write that it cannot be acknowledged. */
export const isBlocked = (configuration: Configuration, refusing: ReadonlySet<string>): boolean =>
  configuration.some((set) => set.length - count(set, refusing) < writeQuorum(set.length));

/** Whether enough holders have answered for the newest of their answers to be the newest acknowledged one. */
export const isRead = (configuration: Configuration, answered: ReadonlySet<string>): boolean =>
  configuration.every((set) => count(set, answered) >= readQuorum(set.length));

/**
 * Whether a member of the new set has everything that was acknowledged in the old one: it fetched from a write quorum
 * of it. All of those serve no request for the old set any more, so neither write nor read can get its quorum there.
 * @param sources holders that were in the change when it began to fetch from them; the member itself may be one.
 */
export const isComplete = (old: ReplicaSet, sources: ReadonlySet<string>): boolean =>
  count(old, sources) >= writeQuorum(old.length);

/** Whether the new set may serve alone: a write quorum of it is complete. */
export const isSettled = (next: ReplicaSet, complete: ReadonlySet<string>): boolean =>
  count(next, complete) >= writeQuorum(next.length);
