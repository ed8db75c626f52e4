import { z } from 'zod';
import { AccountId, type LineageId, Mac, type SlotId } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex } from '../bytes/hex.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { deriveKey, hmacSha256 } from '../crypto/hkdf.ts';
import { accountText, hexText } from './decode.ts';
import { type MacRoute, macLabel } from './labels.ts';

/** How far a request's timestamp may be from the server's clock. */
export const MAC_FRESHNESS_MS = 60_000;

/** A whole number from 0 that JSON carries exactly. */
export const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** The fields that every authenticated request carries in addition to its content and the name of its key. */
export const envelopeFields = {
  accountId: accountText,
  timestampMs: count,
  random: hexText(16),
  mac: hexText(32),
};

/** The part that every authenticated request carries. */
export interface MacEnvelope<Name extends SlotId | LineageId = SlotId | LineageId> {
  readonly server: AccountId;
  readonly account: AccountId;
  /** What the key belongs to: a slot, or a lineage. */
  readonly name: Name;
  readonly timestampMs: number;
  /** 16 bytes. */
  readonly random: Uint8Array;
}

/** A decoded request: envelope, content and MAC. */
export interface MacRequest<Content, Name extends SlotId | LineageId = SlotId> {
  readonly envelope: Omit<MacEnvelope<Name>, 'server'>;
  readonly content: Content;
  readonly mac: Mac;
}

/** MAC of a request: HMAC-SHA-256 under the route's request key over server ‖ account ‖ name ‖ time ‖ random ‖ content. */
export function requestMac(
  key: SecretBytes,
  route: MacRoute,
  envelope: MacEnvelope,
  content: Uint8Array,
): Mac {
  const { server, account, name, timestampMs, random } = envelope;
  const label = macLabel(route, 'request');
  return macUnder(key, label, server, account, name, u64BigEndian(timestampMs), random, content);
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

interface WireEnvelope {
  readonly accountId: string;
  readonly timestampMs: number;
  readonly random: string;
  readonly mac: string;
}

/** Reads the envelope of a request. @throws EvidenceError FIELD_INVALID. */
export const decodeEnvelope = <Name extends SlotId | LineageId>(
  wire: WireEnvelope,
  name: Name,
): Omit<MacRequest<undefined, Name>, 'content'> => ({
  envelope: {
    account: AccountId.parse(wire.accountId, 'accountId'),
    name,
    timestampMs: wire.timestampMs,
    random: parsePrefixedHex(wire.random, 16, 'random'),
  },
  mac: Mac.parse(wire.mac, 'mac'),
});
