import { compareBytes, equalBytes } from '../bytes/concat.ts';

/** Bytes of the random part of a boot's id. */
export const BOOT_BYTES = 8;
/** Bytes of a boot's id, in an incarnation and in a reservation: random part ‖ mark. */
export const BOOT_ID_BYTES = 16;

/** One boot of a node that shows itself: its number, and its id (16 bytes: 8 random ones ‖ the node's mark). */
export interface Incarnation {
  readonly number: number;
  readonly bootId: Uint8Array;
}

/**
 * A number that a boot reserved before it shows itself. Its 16 bytes are the boot's 8 random ones ‖ a mark that proves
 * the reservation alone: a server that sees it cannot show the incarnation.
 */
export interface Reservation {
  readonly number: number;
  readonly boot: Uint8Array;
}

/** No boot: below every incarnation. */
export const NO_INCARNATION: Incarnation = { number: 0, bootId: new Uint8Array(BOOT_ID_BYTES) };
/** No reservation: below every one. */
export const NO_RESERVATION: Reservation = { number: 0, boot: new Uint8Array(BOOT_ID_BYTES) };

/** Positive when `a` is newer than `b`: the larger number, of equal ones the larger id. */
export const compareIncarnations = (a: Incarnation, b: Incarnation): number =>
  a.number - b.number || compareBytes(a.bootId, b.bootId);

/** What an incarnation that is shown leaves reserved: its mark proves its number as well. */
export const reservationOf = ({ number, bootId }: Incarnation): Reservation => ({ number, boot: bootId });

/** Whether two ids, of incarnations or reservations, are of the same boot. */
export const isSameBoot = (one: Uint8Array, other: Uint8Array): boolean =>
  equalBytes(one.subarray(0, BOOT_BYTES), other.subarray(0, BOOT_BYTES));
