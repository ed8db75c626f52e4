import { z } from 'zod';
import { concatBytes } from '../bytes/concat.ts';
import { InstanceId, Mac, SlotId } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import { BOOT_BYTES, type Incarnation, type Reservation } from '../lineage/incarnation.ts';
import { SEALED_LINEAGE_KEY_BYTES } from '../lineage/lineage-key.ts';
import { hexText, parseWire } from './decode.ts';
import {
  decodeExtensions,
  type Extensions,
  extensionBytes,
  extensionFields,
  extensionsToWire,
} from './extensions.ts';
import {
  type Deposit,
  decodeDeposit,
  decodeIncarnation,
  decodeLineage,
  depositBytes,
  depositFields,
  incarnationBody,
  incarnationBytes,
  type LineageState,
  lineageBytes,
  lineageFields,
  lineageToWire,
} from './lineage-state.ts';
import { count, decodeEnvelope, envelopeFields, type MacRequest } from './mac.ts';

const slotEnvelope = { ...envelopeFields, slotId: hexText(SlotId.byteLength) };

/** What a client says about its slots: the server counts from it the stores that its own restart would endanger. */
const reportFields = z.strictObject({
  threshold: z.int().min(1).max(16),
  slots: z.int().min(1).max(16),
  live: z.int().min(0).max(16),
});

/** Body of `POST /key-status`. */
export const keyStatusBody = z.strictObject({
  ...slotEnvelope,
  confirm: z.boolean(),
  lineage: hexText(SEALED_LINEAGE_KEY_BYTES)
    .optional()
    .meta({ description: 'the lineage key, sealed under the server key: links the slot to it' }),
  ...incarnationBody,
  head: depositFields.optional(),
  report: reportFields.optional(),
});

/** Body of `POST /reserve`. */
export const reserveBody = z.strictObject({ ...slotEnvelope, incarnation: count, boot: hexText(BOOT_BYTES) });

/** Body of `POST /claim`. */
export const claimBody = z.strictObject({ ...slotEnvelope, ...incarnationBody });

/** Body of `POST /forget`. */
export const forgetBody = z.strictObject({ ...slotEnvelope, ...incarnationBody });

const stateAnswer = {
  instanceId: hexText(16),
  serverTimeMs: count,
  draining: z.boolean().meta({ description: 'the server is to be stopped for good: move to others' }),
  lineage: lineageFields.optional(),
  extensions: extensionFields.optional(),
  mac: hexText(32),
};

/** Answer of `POST /key-status`, `/reserve` and `/claim`, and of the routes of a lineage. */
export const serverStateAnswer = z.strictObject(stateAnswer);

/** Answer of `POST /forget`. */
export const forgetAnswer = z.strictObject({
  ...stateAnswer,
  erased: z.boolean().meta({ description: 'false: a newer instance of the node needs the key' }),
});

/** The client's view of its own slots. */
export type StoreReport = z.output<typeof reportFields>;

/** The content of `key-status`. */
export interface KeyStatus {
  /** Keeps the key beyond the hour after which an unconfirmed key is dropped. */
  readonly confirm: boolean;
  /** The lineage key of the server, sealed under the server key; links the slot. */
  readonly lineage: Uint8Array | undefined;
  readonly incarnation: Incarnation;
  readonly head: Deposit | undefined;
  readonly report: StoreReport | undefined;
}

/** The state of a server, and what it knows of the lineage that was asked about. */
export interface ServerState {
  readonly instanceId: InstanceId;
  readonly serverTimeMs: number;
  /** The server will be stopped and asks its clients to move to other servers first. */
  readonly draining: boolean;
  /** `undefined` for a slot that is not linked. */
  readonly lineage: LineageState | undefined;
  readonly extensions: Extensions;
}

/** The answer to `forget`. */
export interface Forgotten extends ServerState {
  /** Whether the key is erased; false where a newer instance of the node needs it. */
  readonly erased: boolean;
}

const reportBytes = (report: StoreReport | undefined): Uint8Array =>
  report === undefined ? new Uint8Array(4) : Uint8Array.of(1, report.threshold, report.slots, report.live);

const sealedBytes = (sealed: Uint8Array | undefined): Uint8Array =>
  sealed === undefined ? new Uint8Array(1) : concatBytes(Uint8Array.of(1), sealed);

/** Canonical bytes of the content of `key-status`: confirm ‖ (0, or 1 ‖ sealed lineage key) ‖ incarnation ‖ head ‖ report. */
export const keyStatusBytes = (status: KeyStatus): Uint8Array =>
  concatBytes(
    Uint8Array.of(status.confirm ? 1 : 0),
    sealedBytes(status.lineage),
    incarnationBytes(status.incarnation),
    depositBytes(status.head),
    reportBytes(status.report),
  );

/** Canonical bytes of the content of `reserve`: u64 number ‖ boot. */
export const reserveBytes = ({ number, boot }: Reservation): Uint8Array =>
  concatBytes(u64BigEndian(number), boot);

/** Canonical bytes of the content of `claim` and of `forget`. */
export const claimBytes = incarnationBytes;

/** Canonical bytes of an answer: instance id ‖ u64 time ‖ draining ‖ lineage ‖ extensions. */
export const serverStateBytes = (state: ServerState): Uint8Array =>
  concatBytes(
    state.instanceId,
    u64BigEndian(state.serverTimeMs),
    Uint8Array.of(state.draining ? 1 : 0),
    lineageBytes(state.lineage),
    extensionBytes(state.extensions),
  );

/** Canonical bytes of the answer to `forget`: erased ‖ state. */
export const forgottenBytes = (forgotten: Forgotten): Uint8Array =>
  concatBytes(Uint8Array.of(forgotten.erased ? 1 : 0), serverStateBytes(forgotten));

const slotIdOf = ({ slotId }: { readonly slotId: string }): SlotId => SlotId.parse(slotId, 'slotId');

/** Decodes `POST /key-status`. @throws EvidenceError FIELD_INVALID. */
export function decodeKeyStatus(body: unknown): MacRequest<KeyStatus> {
  const wire = parseWire(keyStatusBody, body);
  return {
    ...decodeEnvelope(wire, slotIdOf(wire)),
    content: {
      confirm: wire.confirm,
      lineage:
        wire.lineage === undefined
          ? undefined
          : parsePrefixedHex(wire.lineage, SEALED_LINEAGE_KEY_BYTES, 'lineage'),
      incarnation: decodeIncarnation(wire),
      head: wire.head === undefined ? undefined : decodeDeposit(wire.head),
      report: wire.report,
    },
  };
}

/** Decodes `POST /reserve`. @throws EvidenceError FIELD_INVALID. */
export function decodeReserve(body: unknown): MacRequest<Reservation> {
  const wire = parseWire(reserveBody, body);
  const boot = parsePrefixedHex(wire.boot, BOOT_BYTES, 'boot');
  return { ...decodeEnvelope(wire, slotIdOf(wire)), content: { number: wire.incarnation, boot } };
}

/** Decodes `POST /claim`. @throws EvidenceError FIELD_INVALID. */
export function decodeClaim(body: unknown): MacRequest<Incarnation> {
  const wire = parseWire(claimBody, body);
  return { ...decodeEnvelope(wire, slotIdOf(wire)), content: decodeIncarnation(wire) };
}

/** Decodes `POST /forget`. @throws EvidenceError FIELD_INVALID. */
export function decodeForget(body: unknown): MacRequest<Incarnation> {
  const wire = parseWire(forgetBody, body);
  return { ...decodeEnvelope(wire, slotIdOf(wire)), content: decodeIncarnation(wire) };
}

function stateOf(wire: Omit<z.output<typeof serverStateAnswer>, 'mac'>): ServerState {
  return {
    instanceId: InstanceId.parse(wire.instanceId, 'instanceId'),
    serverTimeMs: wire.serverTimeMs,
    draining: wire.draining,
    lineage: decodeLineage(wire.lineage),
    extensions: decodeExtensions(wire.extensions),
  };
}

/** Decodes an answer; the caller checks its MAC. @throws EvidenceError FIELD_INVALID. */
export function decodeServerState(body: unknown): { readonly state: ServerState; readonly mac: Mac } {
  const wire = parseWire(serverStateAnswer, body, 'answer');
  return { state: stateOf(wire), mac: Mac.parse(wire.mac, 'mac') };
}

/** Decodes the answer to `forget`; the caller checks its MAC. @throws EvidenceError FIELD_INVALID. */
export function decodeForgotten(body: unknown): { readonly forgotten: Forgotten; readonly mac: Mac } {
  const wire = parseWire(forgetAnswer, body, 'answer');
  return { forgotten: { ...stateOf(wire), erased: wire.erased }, mac: Mac.parse(wire.mac, 'mac') };
}

/** An answer for JSON. */
export const serverStateToWire = (state: ServerState, mac: Mac): z.output<typeof serverStateAnswer> => ({
  instanceId: toPrefixedHex(state.instanceId),
  serverTimeMs: state.serverTimeMs,
  draining: state.draining,
  ...lineageToWire(state.lineage),
  ...extensionsToWire(state.extensions),
  mac: toPrefixedHex(mac),
});

/** The answer to `forget` for JSON. */
export const forgottenToWire = (forgotten: Forgotten, mac: Mac): z.output<typeof forgetAnswer> => ({
  ...serverStateToWire(forgotten, mac),
  erased: forgotten.erased,
});
