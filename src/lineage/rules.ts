import { equalBytes } from '../bytes/concat.ts';
import { compareHeads, type Head } from './head.ts';
import {
  compareIncarnations,
  type Incarnation,
  NO_INCARNATION,
  NO_RESERVATION,
  type Reservation,
  reservationOf,
} from './incarnation.ts';

/** What a server remembers of a lineage: its decisions depend on nothing else. */
export interface LineageFacts {
  /** The highest number that a boot reserved. */
  readonly reserved: Reservation;
  /** The newest incarnation that was shown. */
  readonly shown: Incarnation;
  /** The newest head of an incarnation that was shown. */
  readonly head: Head | undefined;
  /** The node has another lineage now: nothing changes any more. */
  readonly closed: boolean;
}

/** What a server knows of a lineage at its first sight. */
export const NO_FACTS: LineageFacts = {
  reserved: NO_RESERVATION,
  shown: NO_INCARNATION,
  head: undefined,
  closed: false,
};

/** Whether the first incarnation is newer than the second. */
export const isNewer = (one: Incarnation, other: Incarnation): boolean => compareIncarnations(one, other) > 0;

/** Whether two incarnations are the same boot. */
export const isSame = (one: Incarnation, other: Incarnation): boolean =>
  compareIncarnations(one, other) === 0;

/** Whether a number is not to be had: it, or a larger one, was reserved by another boot, or a larger one by this. */
export function isTaken({ reserved }: Pick<LineageFacts, 'reserved'>, wish: Reservation): boolean {
  if (reserved.number !== wish.number) return reserved.number > wish.number;
  return !equalBytes(reserved.boot, wish.boot);
}

/** Reserves a number unless it is taken. */
export const reserve = (facts: LineageFacts, wish: Reservation): LineageFacts =>
  facts.closed || isTaken(facts, wish) ? facts : { ...facts, reserved: wish };

/** Shows an incarnation unless a newer one is shown. */
export function show(facts: LineageFacts, from: Incarnation): LineageFacts {
  if (!mayChange(facts, from)) return facts;
  const reserved = facts.reserved.number < from.number ? reservationOf(from) : facts.reserved;
  return { ...facts, shown: from, reserved };
}

/** Takes a head from the incarnation that is shown, unless it knows a newer one. */
export function deposit(
  facts: LineageFacts,
  from: Incarnation,
  head: Omit<Head, 'incarnation'>,
): LineageFacts {
  if (facts.closed || !isSame(facts.shown, from)) return facts;
  const newer: Head = { ...head, incarnation: from };
  const isOld = facts.head !== undefined && compareHeads(newer, facts.head) <= 0;
  return isOld ? facts : { ...facts, head: newer };
}

/** Whether an incarnation may change something: the lineage is open, and no newer one is shown. */
export const mayChange = ({ shown, closed }: LineageFacts, from: Incarnation): boolean =>
  !closed && !isNewer(shown, from);

/** What ends a lineage: an incarnation above all others, and the digest of its head. */
export interface Closing {
  readonly last: Incarnation;
  readonly head: Omit<Head, 'incarnation'>;
}

/**
 * Ends a lineage for an instance that is the newest, and shows a last incarnation and head, so that a paused instance
 * and an old disk find out. The condition is the ordinary incarnation: the last one is newer than all by itself.
 */
export function close(facts: LineageFacts, from: Incarnation, { last, head }: Closing): LineageFacts {
  if (!mayChange(facts, from)) return facts;
  return { ...deposit(show(facts, last), last, head), closed: true };
}
