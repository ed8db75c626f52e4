import { z } from 'zod';
import { concatBytes } from '../bytes/concat.ts';
import { AccountId, InstanceId, Mac, SlotId } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { deriveKey, hmacSha256 } from '../crypto/hkdf.ts';
import { accountText, hexText, parseWire } from './decode.ts';
import {
  decodeExtensions,
  type Extensions,
  extensionBytes,
  extensionFields,
  extensionsToWire,
} from './extensions.ts';
import { type MacRoute, macLabel } from './labels.ts';

/** How far a request's timestamp may be from the server's clock. */
export const MAC_FRESHNESS_MS = 60_000;

/** A log head as it is deposited: grows in (generation, sequence). */
export interface Head {
  readonly generation: number;
  readonly sequence: number;
  /** 32 bytes. */
  readonly digest: Uint8Array;
}

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** A head in JSON. */
export const headFields = z.strictObject({ generation: count, sequence: count, digest: hexText(32) });

/** A head for JSON. */
export const headToWire = (head: Head): z.output<typeof headFields> => ({
  generation: head.generation,
  sequence: head.sequence,
  digest: toPrefixedHex(head.digest),
});

/** Positive when `a` is newer than `b`. */
export const compareHeads = (a: Head, b: Head): number =>
  a.generation - b.generation || a.sequence - b.sequence;

const envelope = {
  accountId: accountText,
  slotId: hexText(16),
  timestampMs: count,
  random: hexText(16),
  mac: hexText(32),
};

/** What a client says about its slots: the server counts from it the stores that its own restart would endanger. */
const reportFields = z.strictObject({
  threshold: z.int().min(1).max(16),
  slots: z.int().min(1).max(16),
  live: z.int().min(0).max(16),
});

/** Body of `POST /key-status`. */
export const keyStatusBody = z.strictObject({
  ...envelope,
  confirm: z.boolean(),
  incarnation: count,
  bootId: hexText(16),
  head: headFields.optional(),
  report: reportFields.optional(),
});

/** Body of `POST /claim`. */
export const claimBody = z.strictObject({ ...envelope, incarnation: count, bootId: hexText(16) });

/** Body of `POST /forget`. */
export const forgetBody = z.strictObject(envelope);

/** Answer of `POST /key-status` and of `POST /claim`. */
export const slotStateAnswer = z.strictObject({
  instanceId: hexText(16),
  serverTimeMs: count,
  incarnation: count,
  bootId: hexText(16),
  head: headFields.optional(),
  draining: z.boolean().meta({ description: 'the server is to be stopped for good: move to others' }),
  extensions: extensionFields.optional(),
  mac: hexText(32),
});

/** Answer of `POST /forget`. */
export const forgetAnswer = z.strictObject({ extensions: extensionFields.optional(), mac: hexText(32) });

/** The part that every request of these routes carries. */
export interface MacEnvelope {
  readonly server: AccountId;
  readonly account: AccountId;
  readonly slotId: SlotId;
  readonly timestampMs: number;
  /** 16 bytes. */
  readonly random: Uint8Array;
}

/** One boot of a client: the number under which it claimed the account, and its random id (16 bytes). */
export interface Incarnation {
  readonly number: number;
  readonly bootId: Uint8Array;
}

/** The client's view of its own slots. */
export type StoreReport = z.output<typeof reportFields>;

/** The content of `key-status` in addition to the envelope. */
export interface KeyStatus {
  /** Keeps the key beyond the hour after which an unconfirmed key is dropped. */
  readonly confirm: boolean;
  readonly incarnation: Incarnation;
  readonly head: Head | undefined;
  readonly report: StoreReport | undefined;
}

/** The answer of a server to `key-status` and `claim`. */
export interface SlotState {
  readonly instanceId: InstanceId;
  readonly serverTimeMs: number;
  readonly incarnation: Incarnation;
  readonly head: Head | undefined;
  /** The server will be stopped and asks its clients to move to other servers first. */
  readonly draining: boolean;
  readonly extensions: Extensions;
}

const NO_HEAD = new Uint8Array(1 + 8 + 8 + 32);
const headBytes = (head: Head | undefined): Uint8Array =>
  head === undefined
    ? NO_HEAD
    : concatBytes(Uint8Array.of(1), u64BigEndian(head.generation), u64BigEndian(head.sequence), head.digest);
const incarnationBytes = ({ number, bootId }: Incarnation): Uint8Array =>
  concatBytes(u64BigEndian(number), bootId);
const reportBytes = (report: StoreReport | undefined): Uint8Array =>
  report === undefined ? new Uint8Array(4) : Uint8Array.of(1, report.threshold, report.slots, report.live);

/** Canonical bytes of the content of `key-status`. */
export const keyStatusBytes = (status: KeyStatus): Uint8Array =>
  concatBytes(
    Uint8Array.of(status.confirm ? 1 : 0),
    incarnationBytes(status.incarnation),
    headBytes(status.head),
    reportBytes(status.report),
  );

/** Canonical bytes of the content of `claim`. */
export const claimBytes = incarnationBytes;

/** Canonical bytes of the answer to `key-status` and `claim`. */
export const slotStateBytes = (state: SlotState): Uint8Array =>
  concatBytes(
    state.instanceId,
    u64BigEndian(state.serverTimeMs),
    incarnationBytes(state.incarnation),
    headBytes(state.head),
    Uint8Array.of(state.draining ? 1 : 0),
    extensionBytes(state.extensions),
  );

/** Canonical bytes of the answer to `forget`. */
export const forgottenBytes = (extensions: Extensions): Uint8Array =>
  concatBytes(Uint8Array.of(1), extensionBytes(extensions));

/** MAC of a request: HMAC-SHA-256 under the route's request key over server ‖ account ‖ slot id ‖ time ‖ random ‖ content. */
export function requestMac(
  key: SecretBytes,
  route: MacRoute,
  envelope: MacEnvelope,
  content: Uint8Array,
): Mac {
  const { server, account, slotId, timestampMs, random } = envelope;
  const label = macLabel(route, 'request');
  return macUnder(key, label, server, account, slotId, u64BigEndian(timestampMs), random, content);
}

/** MAC of an answer: HMAC-SHA-256 under the route's response key over the request's MAC ‖ content. */
export const responseMac = (key: SecretBytes, route: MacRoute, request: Mac, content: Uint8Array): Mac =>
  macUnder(key, macLabel(route, 'response'), request, content);

function macUnder(key: SecretBytes, label: string, ...parts: readonly Uint8Array[]): Mac {
  const macKey = deriveKey(key.reveal(), label);
  try {
    return Mac.of(hmacSha256(macKey, ...parts));
  } finally {
    macKey.fill(0);
  }
}

/** Whether a received MAC is the expected MAC, in constant time. */
export const macMatches = (observed: Uint8Array, expected: Mac): boolean =>
  equalConstantTime(observed, expected);

/** A decoded request: envelope, content and MAC. */
export interface MacRequest<Content> {
  readonly envelope: Omit<MacEnvelope, 'server'>;
  readonly content: Content;
  readonly mac: Mac;
}

interface WireEnvelope {
  readonly accountId: string;
  readonly slotId: string;
  readonly timestampMs: number;
  readonly random: string;
  readonly mac: string;
}

const decodeEnvelope = (wire: WireEnvelope) => ({
  envelope: {
    account: AccountId.parse(wire.accountId, 'accountId'),
    slotId: SlotId.parse(wire.slotId, 'slotId'),
    timestampMs: wire.timestampMs,
    random: parsePrefixedHex(wire.random, 16, 'random'),
  },
  mac: Mac.parse(wire.mac, 'mac'),
});

const decodeIncarnation = (wire: { readonly incarnation: number; readonly bootId: string }): Incarnation => ({
  number: wire.incarnation,
  bootId: parsePrefixedHex(wire.bootId, 16, 'bootId'),
});

const decodeHead = (wire: z.output<typeof headFields> | undefined): Head | undefined =>
  wire === undefined ? undefined : { ...wire, digest: parsePrefixedHex(wire.digest, 32, 'head.digest') };

/** Decodes `POST /key-status`. @throws EvidenceError FIELD_INVALID. */
export function decodeKeyStatus(body: unknown): MacRequest<KeyStatus> {
  const wire = parseWire(keyStatusBody, body);
  return {
    ...decodeEnvelope(wire),
    content: {
      confirm: wire.confirm,
      incarnation: decodeIncarnation(wire),
      head: decodeHead(wire.head),
      report: wire.report,
    },
  };
}

/** Decodes `POST /claim`. @throws EvidenceError FIELD_INVALID. */
export function decodeClaim(body: unknown): MacRequest<Incarnation> {
  const wire = parseWire(claimBody, body);
  return { ...decodeEnvelope(wire), content: decodeIncarnation(wire) };
}

/** Decodes `POST /forget`. @throws EvidenceError FIELD_INVALID. */
export function decodeForget(body: unknown): MacRequest<undefined> {
  return { ...decodeEnvelope(parseWire(forgetBody, body)), content: undefined };
}

/** Decodes the answer to `key-status` or `claim`; the caller checks its MAC. @throws EvidenceError FIELD_INVALID. */
export function decodeSlotState(body: unknown): { readonly state: SlotState; readonly mac: Mac } {
  const wire = parseWire(slotStateAnswer, body, 'answer');
  return {
    state: {
      instanceId: InstanceId.parse(wire.instanceId, 'instanceId'),
      serverTimeMs: wire.serverTimeMs,
      incarnation: decodeIncarnation(wire),
      head: decodeHead(wire.head),
      draining: wire.draining,
      extensions: decodeExtensions(wire.extensions),
    },
    mac: Mac.parse(wire.mac, 'mac'),
  };
}

/** Decodes the answer to `forget`; the caller checks its MAC. @throws EvidenceError FIELD_INVALID. */
export function decodeForgotten(body: unknown): { readonly extensions: Extensions; readonly mac: Mac } {
  const wire = parseWire(forgetAnswer, body, 'answer');
  return { extensions: decodeExtensions(wire.extensions), mac: Mac.parse(wire.mac, 'mac') };
}

/** The answer to `forget` for JSON. */
export const forgottenToWire = (extensions: Extensions, mac: Mac): z.output<typeof forgetAnswer> => ({
  ...extensionsToWire(extensions),
  mac: toPrefixedHex(mac),
});

/** A slot state for JSON. */
export const slotStateToWire = (state: SlotState, mac: Mac): z.output<typeof slotStateAnswer> => ({
  instanceId: toPrefixedHex(state.instanceId),
  serverTimeMs: state.serverTimeMs,
  incarnation: state.incarnation.number,
  bootId: toPrefixedHex(state.incarnation.bootId),
  ...(state.head === undefined ? {} : { head: headToWire(state.head) }),
  draining: state.draining,
  ...extensionsToWire(state.extensions),
  mac: toPrefixedHex(mac),
});
