import { z } from 'zod';
import { concatBytes } from '../bytes/concat.ts';
import { SlotId } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import type { Head } from '../lineage/head.ts';
import { BOOT_BYTES, BOOT_ID_BYTES, type Incarnation, type Reservation } from '../lineage/incarnation.ts';
import { hexText } from './decode.ts';
import { count } from './mac.ts';

/** Most slots of a lineage that one answer names, or one request erases. */
export const MAX_LINEAGE_SLOTS = 32;

/** What a server shows of a lineage, in grants and in authenticated answers. */
export interface LineageState {
  readonly reserved: Reservation;
  /** The newest incarnation that was shown; number 0 before the first. */
  readonly shown: Incarnation;
  readonly head: Head | undefined;
  /** Living slots of the lineage at this server, at most {@link MAX_LINEAGE_SLOTS}. */
  readonly slots: readonly SlotId[];
  /** Whether the node has given this lineage up for another one. */
  readonly closed: boolean;
}

const incarnationFields = { incarnation: count, bootId: hexText(BOOT_ID_BYTES) };

/** An incarnation in the fields of a request. */
export const incarnationBody = incarnationFields;

/** A head in a request: its writer is the incarnation of the request. */
export const depositFields = z.strictObject({ sequence: count, digest: hexText(32) });

const headFields = z.strictObject({ ...incarnationFields, sequence: count, digest: hexText(32) });

/** The state of a lineage in JSON. */
export const lineageFields = z.strictObject({
  reserved: count,
  reservedBoot: hexText(BOOT_BYTES),
  ...incarnationFields,
  head: headFields.optional(),
  slots: z.array(hexText(SlotId.byteLength)).max(MAX_LINEAGE_SLOTS),
  closed: z.boolean().meta({ description: 'the node has another lineage now' }),
});

/** A head without its writer, as it is deposited. */
export type Deposit = Omit<Head, 'incarnation'>;

/** An incarnation for JSON. */
export const incarnationToWire = ({ number, bootId }: Incarnation) => ({
  incarnation: number,
  bootId: toPrefixedHex(bootId),
});

/** Reads an incarnation. @throws EvidenceError FIELD_INVALID. */
export const decodeIncarnation = (wire: {
  readonly incarnation: number;
  readonly bootId: string;
}): Incarnation => ({
  number: wire.incarnation,
  bootId: parsePrefixedHex(wire.bootId, BOOT_ID_BYTES, 'bootId'),
});

/** A deposited head for JSON. */
export const depositToWire = ({ sequence, digest }: Deposit): z.output<typeof depositFields> => ({
  sequence,
  digest: toPrefixedHex(digest),
});

/** Reads a deposited head. @throws EvidenceError FIELD_INVALID. */
export const decodeDeposit = (wire: z.output<typeof depositFields>): Deposit => ({
  ...wire,
  digest: parsePrefixedHex(wire.digest, 32, 'head.digest'),
});

/** The JSON field of a lineage; no field for a slot that is not linked. */
export const lineageToWire = (
  state: LineageState | undefined,
): { readonly lineage?: z.output<typeof lineageFields> } =>
  state === undefined
    ? {}
    : {
        lineage: {
          reserved: state.reserved.number,
          reservedBoot: toPrefixedHex(state.reserved.boot),
          ...incarnationToWire(state.shown),
          ...(state.head === undefined
            ? {}
            : { head: { ...incarnationToWire(state.head.incarnation), ...depositToWire(state.head) } }),
          slots: state.slots.map(toPrefixedHex),
          closed: state.closed,
        },
      };

/** Reads the JSON field of a lineage. @throws EvidenceError FIELD_INVALID. */
export function decodeLineage(wire: z.output<typeof lineageFields> | undefined): LineageState | undefined {
  if (wire === undefined) return undefined;
  const { head } = wire;
  return {
    reserved: {
      number: wire.reserved,
      boot: parsePrefixedHex(wire.reservedBoot, BOOT_BYTES, 'lineage.reservedBoot'),
    },
    shown: decodeIncarnation(wire),
    head:
      head === undefined
        ? undefined
        : {
            incarnation: decodeIncarnation(head),
            sequence: head.sequence,
            digest: parsePrefixedHex(head.digest, 32, 'lineage.head.digest'),
          },
    slots: wire.slots.map((slotId) => SlotId.parse(slotId, 'lineage.slots')),
    closed: wire.closed,
  };
}

/** Canonical bytes of an incarnation: u64 number ‖ boot id. */
export const incarnationBytes = ({ number, bootId }: Incarnation): Uint8Array =>
  concatBytes(u64BigEndian(number), bootId);

/** Canonical bytes of a deposited head: 0, or 1 ‖ u64 sequence ‖ digest. */
export const depositBytes = (head: Deposit | undefined): Uint8Array =>
  head === undefined
    ? new Uint8Array(1)
    : concatBytes(Uint8Array.of(1), u64BigEndian(head.sequence), head.digest);

/** Canonical bytes of slot ids: u8 count ‖ slot ids. */
export const slotIdsBytes = (slots: readonly SlotId[]): Uint8Array =>
  concatBytes(Uint8Array.of(slots.length), ...slots);

/**
 * Canonical bytes of the state of a lineage: 0, or 1 ‖ u64 reserved number ‖ its boot ‖ incarnation ‖ (0, or 1 ‖
 * incarnation of the head ‖ u64 sequence ‖ digest) ‖ slot ids ‖ closed.
 */
export function lineageBytes(state: LineageState | undefined): Uint8Array {
  if (state === undefined) return new Uint8Array(1);
  const { reserved, shown, head, slots, closed } = state;
  return concatBytes(
    Uint8Array.of(1),
    u64BigEndian(reserved.number),
    reserved.boot,
    incarnationBytes(shown),
    ...(head === undefined
      ? [Uint8Array.of(0)]
      : [Uint8Array.of(1), incarnationBytes(head.incarnation), u64BigEndian(head.sequence), head.digest]),
    slotIdsBytes(slots),
    Uint8Array.of(closed ? 1 : 0),
  );
}
