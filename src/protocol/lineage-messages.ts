import { z } from 'zod';
import { concatBytes } from '../bytes/concat.ts';
import { LineageId, SlotId } from '../bytes/fixed-bytes.ts';
import type { Incarnation } from '../lineage/incarnation.ts';
import type { Closing } from '../lineage/rules.ts';
import { hexText, parseWire } from './decode.ts';
import {
  type Deposit,
  decodeDeposit,
  decodeIncarnation,
  depositBytes,
  depositFields,
  incarnationBody,
  incarnationBytes,
  MAX_LINEAGE_SLOTS,
  slotIdsBytes,
} from './lineage-state.ts';
import { decodeEnvelope, envelopeFields, type MacRequest } from './mac.ts';

const lineageEnvelope = { ...envelopeFields, lineageId: hexText(LineageId.byteLength) };

/** Body of `POST /lineage-status`. */
export const lineageStatusBody = z.strictObject(lineageEnvelope);

/** Body of `POST /lineage-update`. */
export const lineageUpdateBody = z.strictObject({
  ...lineageEnvelope,
  ...incarnationBody,
  head: depositFields.optional(),
  forget: z.array(hexText(SlotId.byteLength)).max(MAX_LINEAGE_SLOTS),
  close: z
    .strictObject({ ...incarnationBody, head: depositFields })
    .optional()
    .meta({
      description: 'the node has another lineage now: erase all slots, show this, change nothing more',
    }),
});

/** The content of `lineage-update`. */
export interface LineageUpdate {
  readonly incarnation: Incarnation;
  readonly head: Deposit | undefined;
  /** Slots of the lineage to be erased. */
  readonly forget: readonly SlotId[];
  /** Ends the lineage at this server and erases all its slots. */
  readonly close: Closing | undefined;
}

const closingBytes = (close: Closing | undefined): Uint8Array =>
  close === undefined
    ? new Uint8Array(1)
    : concatBytes(Uint8Array.of(1), incarnationBytes(close.last), depositBytes(close.head));

/**
 * Canonical bytes of the content of `lineage-update`: incarnation ‖ head ‖ u8 count ‖ slot ids ‖ (0, or 1 ‖ last
 * incarnation ‖ its head).
 */
export const lineageUpdateBytes = ({ incarnation, head, forget, close }: LineageUpdate): Uint8Array =>
  concatBytes(incarnationBytes(incarnation), depositBytes(head), slotIdsBytes(forget), closingBytes(close));

const lineageIdOf = ({ lineageId }: { readonly lineageId: string }): LineageId =>
  LineageId.parse(lineageId, 'lineageId');

/** Decodes `POST /lineage-status`. @throws EvidenceError FIELD_INVALID. */
export function decodeLineageStatus(body: unknown): MacRequest<undefined, LineageId> {
  const wire = parseWire(lineageStatusBody, body);
  return { ...decodeEnvelope(wire, lineageIdOf(wire)), content: undefined };
}

/** Decodes `POST /lineage-update`. @throws EvidenceError FIELD_INVALID. */
export function decodeLineageUpdate(body: unknown): MacRequest<LineageUpdate, LineageId> {
  const wire = parseWire(lineageUpdateBody, body);
  return {
    ...decodeEnvelope(wire, lineageIdOf(wire)),
    content: {
      incarnation: decodeIncarnation(wire),
      head: wire.head === undefined ? undefined : decodeDeposit(wire.head),
      forget: wire.forget.map((slotId) => SlotId.parse(slotId, 'forget')),
      close:
        wire.close === undefined
          ? undefined
          : { last: decodeIncarnation(wire.close), head: decodeDeposit(wire.close.head) },
    },
  };
}
