import type { LineageId, Mac, SlotId } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { Incarnation, Reservation } from '../lineage/incarnation.ts';
import type { MacRoute } from './labels.ts';
import { type LineageUpdate, lineageUpdateBytes } from './lineage-messages.ts';
import { depositToWire, incarnationToWire } from './lineage-state.ts';
import { type MacEnvelope, requestMac } from './mac.ts';
import { claimBytes, type KeyStatus, keyStatusBytes, reserveBytes } from './slot-messages.ts';

/** The content of a request with a MAC: the canonical bytes that the MAC covers, and the same as fields of JSON. */
export interface MacContent {
  readonly bytes: Uint8Array;
  readonly wire: Readonly<Record<string, unknown>>;
}

/** A request with its MAC, ready to be sent as JSON. */
export interface MacMessage {
  readonly mac: Mac;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Makes the request of a client under the key of a slot or of a lineage. */
export function macMessage(
  key: SecretBytes,
  route: MacRoute,
  envelope: MacEnvelope<SlotId | LineageId>,
  content: MacContent,
): MacMessage {
  const { account, name, timestampMs, random } = envelope;
  const mac = requestMac(key, route, envelope, content.bytes);
  const isLineage = route === 'lineage-status' || route === 'lineage-update';
  const body = {
    accountId: encodeSs58(account),
    [isLineage ? 'lineageId' : 'slotId']: toPrefixedHex(name),
    timestampMs,
    random: toPrefixedHex(random),
    ...content.wire,
    mac: toPrefixedHex(mac),
  };
  return { mac, body };
}

/** The content of `lineage-status`. */
export const NO_CONTENT: MacContent = { bytes: new Uint8Array(0), wire: {} };

/** The content of `key-status`. */
export const keyStatusContent = (status: KeyStatus): MacContent => ({
  bytes: keyStatusBytes(status),
  wire: {
    confirm: status.confirm,
    ...(status.lineage === undefined ? {} : { lineage: toPrefixedHex(status.lineage) }),
    ...incarnationToWire(status.incarnation),
    ...(status.head === undefined ? {} : { head: depositToWire(status.head) }),
    ...(status.report === undefined ? {} : { report: status.report }),
  },
});

/** The content of `reserve`. */
export const reserveContent = (wish: Reservation): MacContent => ({
  bytes: reserveBytes(wish),
  wire: { incarnation: wish.number, boot: toPrefixedHex(wish.boot) },
});

/** The content of `claim` and of `forget`. */
export const bootContent = (incarnation: Incarnation): MacContent => ({
  bytes: claimBytes(incarnation),
  wire: incarnationToWire(incarnation),
});

/** The content of `lineage-update`. */
export const lineageUpdateContent = (update: LineageUpdate): MacContent => ({
  bytes: lineageUpdateBytes(update),
  wire: {
    ...incarnationToWire(update.incarnation),
    ...(update.head === undefined ? {} : { head: depositToWire(update.head) }),
    forget: update.forget.map(toPrefixedHex),
    ...(update.close === undefined
      ? {}
      : { close: { ...incarnationToWire(update.close.last), head: depositToWire(update.close.head) } }),
  },
});
