import { z } from 'zod';
import { concatBytes, utf8 } from '../bytes/concat.ts';
import { type AccountId, BlockHash, type InstanceId, KeyId, type ReportData } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { KEY_LABEL } from './labels.ts';
import { type Head, headFields, headToWire, type Incarnation } from './mac-routes.ts';
import type { BlockReference } from './report-data.ts';
import { parseWire } from './wire.ts';

/** What a server seals to a requester. */
export interface KeyGrant {
  /** 32 bytes. */
  readonly key: SecretBytes;
  readonly keyId: KeyId;
  /** Whether this request made the key. */
  readonly created: boolean;
  readonly createdAtMs: number;
  /** 32 bytes; only with a key that was created under a slot id, and only when it is created. */
  readonly recoveryToken: SecretBytes | undefined;
  readonly serverTimeMs: number;
  /** The newest finalized block that the server knows. */
  readonly finalized: BlockReference;
  /** The newest incarnation that was claimed for this slot; number 0 before the first. */
  readonly incarnation: Incarnation;
  /** The newest log head that was deposited for this slot. */
  readonly head: Head | undefined;
}

/** HPKE `info` of a sealed key: label ‖ server account ‖ client account. */
export const sealedKeyInfo = (server: AccountId, client: AccountId): Uint8Array =>
  concatBytes(KEY_LABEL, server, client);

/** HPKE `aad` of a sealed key: report data ‖ instance id. */
export const sealedKeyAad = (reportData: ReportData, instanceId: InstanceId): Uint8Array =>
  concatBytes(reportData, instanceId);

/** ASCII hex as bytes, so that a key never becomes a string, which could not be wiped. */
function hexAscii(bytes: Uint8Array): Uint8Array {
  const digit = (value: number): number => (value < 10 ? 0x30 + value : 0x57 + value);
  const ascii = new Uint8Array(bytes.length * 2);
  for (const [index, byte] of bytes.entries()) {
    ascii[2 * index] = digit(byte >>> 4);
    ascii[2 * index + 1] = digit(byte & 15);
  }
  return ascii;
}

/** The plaintext: UTF-8 JSON. The caller wipes it once it is sealed. */
export function encodeKeyGrant(grant: KeyGrant): Uint8Array {
  const open = JSON.stringify({
    keyId: toPrefixedHex(grant.keyId),
    created: grant.created,
    createdAtMs: grant.createdAtMs,
    serverTimeMs: grant.serverTimeMs,
    finalized: { number: grant.finalized.number, hash: toPrefixedHex(grant.finalized.hash) },
    incarnation: grant.incarnation.number,
    bootId: toPrefixedHex(grant.incarnation.bootId),
    ...(grant.head === undefined ? {} : { head: headToWire(grant.head) }),
  });
  const key = hexAscii(grant.key.reveal());
  const token = grant.recoveryToken === undefined ? undefined : hexAscii(grant.recoveryToken.reveal());
  const plaintext = concatBytes(
    utf8('{"key":"0x'),
    key,
    utf8('",'),
    ...(token === undefined ? [] : [utf8('"recoveryToken":"0x'), token, utf8('",')]),
    utf8(open.slice(1)),
  );
  for (const copy of [key, token]) copy?.fill(0);
  return plaintext;
}

const grantSchema = z.strictObject({
  key: z.string(),
  keyId: z.string(),
  created: z.boolean(),
  createdAtMs: z.int().nonnegative(),
  recoveryToken: z.string().optional(),
  serverTimeMs: z.int().nonnegative(),
  finalized: z.strictObject({ number: z.int().nonnegative(), hash: z.string() }),
  incarnation: z.int().nonnegative(),
  bootId: z.string(),
  head: headFields.optional(),
});

/**
 * Reads the plaintext of a sealed key.
 * @throws EvidenceError FIELD_INVALID when the server sealed something else.
 */
export function decodeKeyGrant(plaintext: Uint8Array): KeyGrant {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plaintext));
  } catch {
    json = undefined;
  }
  const wire = parseWire(grantSchema, json, 'sealed key');
  const secret = (text: string, field: string) => new SecretBytes(parsePrefixedHex(text, 32, field));
  return {
    key: secret(wire.key, 'key'),
    keyId: KeyId.parse(wire.keyId, 'keyId'),
    created: wire.created,
    createdAtMs: wire.createdAtMs,
    recoveryToken: wire.recoveryToken === undefined ? undefined : secret(wire.recoveryToken, 'recoveryToken'),
    serverTimeMs: wire.serverTimeMs,
    finalized: {
      number: wire.finalized.number,
      hash: BlockHash.parse(wire.finalized.hash, 'finalized.hash'),
    },
    incarnation: { number: wire.incarnation, bootId: parsePrefixedHex(wire.bootId, 16, 'bootId') },
    head:
      wire.head === undefined
        ? undefined
        : { ...wire.head, digest: parsePrefixedHex(wire.head.digest, 32, 'head.digest') },
  };
}
