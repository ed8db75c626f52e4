import { z } from 'zod';
import { concatBytes, utf8 } from '../bytes/concat.ts';
import { type AccountId, BlockHash, type InstanceId, KeyId, type ReportData } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { hexAscii, takeSecret } from '../bytes/secret-hex.ts';
import { parseWire } from './decode.ts';
import { decodeExtensions, type Extensions, extensionFields, extensionsToWire } from './extensions.ts';
import { KEY_LABEL } from './labels.ts';
import { decodeLineage, type LineageState, lineageFields, lineageToWire } from './lineage-state.ts';
import type { BlockReference } from './report-data.ts';

/** The content that a server seals to a client. */
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
  /** What the server knows of the lineage that the slot is linked to; `undefined` for a new slot and a plain key. */
  readonly lineage: LineageState | undefined;
  readonly extensions: Extensions;
}

/** HPKE `info` of a sealed key: label ‖ server account ‖ client account. */
export const sealedKeyInfo = (server: AccountId, client: AccountId): Uint8Array =>
  concatBytes(KEY_LABEL, server, client);

/** HPKE `aad` of a sealed key: report data ‖ instance id. */
export const sealedKeyAad = (reportData: ReportData, instanceId: InstanceId): Uint8Array =>
  concatBytes(reportData, instanceId);

/** The plaintext: UTF-8 JSON. The caller wipes it after sealing. */
export function encodeKeyGrant(grant: KeyGrant): Uint8Array {
  const open = JSON.stringify({
    keyId: toPrefixedHex(grant.keyId),
    created: grant.created,
    createdAtMs: grant.createdAtMs,
    serverTimeMs: grant.serverTimeMs,
    finalized: { number: grant.finalized.number, hash: toPrefixedHex(grant.finalized.hash) },
    ...lineageToWire(grant.lineage),
    ...extensionsToWire(grant.extensions),
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
  lineage: lineageFields.optional(),
  extensions: extensionFields.optional(),
});

/**
 * Reads the plaintext of a sealed key.
 * @throws EvidenceError FIELD_INVALID when the server sealed something else.
 */
export function decodeKeyGrant(plaintext: Uint8Array): KeyGrant {
  const text = new Uint8Array(plaintext);
  const taken = { key: takeSecret(text, 'key'), recoveryToken: takeSecret(text, 'recoveryToken') };
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch {
    json = undefined;
  } finally {
    text.fill(0);
  }
  const wire = parseWire(grantSchema, json, 'sealed key');
  const secret = (hex: string, field: keyof typeof taken) =>
    taken[field] ?? SecretBytes.adopt(parsePrefixedHex(hex, 32, field));
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
    lineage: decodeLineage(wire.lineage),
    extensions: decodeExtensions(wire.extensions),
  };
}
