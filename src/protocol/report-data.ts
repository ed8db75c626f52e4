import { compareBytes, concatBytes, equalBytes } from '../bytes/concat.ts';
import {
  type AccountId,
  type BlockHash,
  type InstanceId,
  type Nonce,
  ReportData,
  SlotId,
  type X25519PublicKey,
} from '../bytes/fixed-bytes.ts';
import { u16BigEndian, u64BigEndian } from '../bytes/integers.ts';
import { sha512 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { ATTESTATION_LABEL, REQUEST_LABEL } from './labels.ts';

/** What a client wants to do with the server key. */
export type Intent = 'get-or-create' | 'create' | 'recover';

/** The byte of each intent in the report data. */
export const intentBytes: Readonly<Record<Intent, number>> = { 'get-or-create': 0, create: 1, recover: 2 };

/** The slot id of the plain request: all zero. */
export const PLAIN_SLOT_ID = SlotId.of(new Uint8Array(SlotId.byteLength));

/** Whether a slot id is that of the plain request. */
export const isPlainSlotId = (slotId: SlotId): boolean => equalBytes(slotId, PLAIN_SLOT_ID);

/** One server that a request is addressed to, with that server's challenge. */
export interface AddressedServer {
  readonly server: AccountId;
  readonly nonce: Nonce;
  readonly slotId: SlotId;
}

/** Most servers that one quote can address. */
export const MAX_ADDRESSED_SERVERS = 16;

/** Everything that the quote of a key request binds. */
export interface BoundParameters {
  readonly account: AccountId;
  readonly ephemeralPublicKey: X25519PublicKey;
  readonly intent: Intent;
  /** 1 to 16, no server twice, in any order. */
  readonly servers: readonly AddressedServer[];
}

/**
 * The 64 bytes that the quote of a key request must carry: SHA-512("latchkey/v1/request" ‖ account ‖ ephemeral key ‖
 * intent byte ‖ big-endian u16 count ‖ (server ‖ nonce ‖ slot id)… ascending by server bytes).
 * @throws EvidenceError FIELD_INVALID when the list is empty, too long, or names a server twice.
 */
export function requestReportData({
  account,
  ephemeralPublicKey,
  intent,
  servers,
}: BoundParameters): ReportData {
  if (servers.length < 1 || servers.length > MAX_ADDRESSED_SERVERS) {
    throw invalidServers(`1 to ${MAX_ADDRESSED_SERVERS} servers`, `${servers.length}`);
  }
  const ascending = [...servers].sort((a, b) => compareBytes(a.server, b.server));
  const entries: Uint8Array[] = [];
  for (const [index, { server, nonce, slotId }] of ascending.entries()) {
    const previous = ascending[index - 1];
    if (previous !== undefined && equalBytes(previous.server, server)) {
      throw invalidServers('each server once', 'one server twice');
    }
    entries.push(server, nonce, slotId);
  }
  const digest = sha512(
    REQUEST_LABEL,
    account,
    ephemeralPublicKey,
    Uint8Array.of(intentBytes[intent]),
    u16BigEndian(servers.length),
    ...entries,
  );
  return ReportData.of(digest);
}

function invalidServers(expected: string, observed: string): EvidenceError {
  return new EvidenceError('FIELD_INVALID', `servers must be ${expected}, got ${observed}`, {
    field: 'servers',
    expected,
    observed,
  });
}

/** A finalized block, as both sides cite it. */
export interface BlockReference {
  readonly number: number;
  readonly hash: BlockHash;
}

/** What a server's own quote on `GET /attestation` binds. */
export interface AttestationParameters {
  readonly server: AccountId;
  readonly x25519PublicKey: X25519PublicKey;
  readonly instanceId: InstanceId;
  readonly finalized: BlockReference;
}

/** Report data of `GET /attestation`: SHA-512 over its own label, account, X25519 key, instance id, block u64 ‖ hash. */
export function attestationReportData(parameters: AttestationParameters): ReportData {
  const { server, x25519PublicKey, instanceId, finalized } = parameters;
  const block = concatBytes(u64BigEndian(finalized.number), finalized.hash);
  return ReportData.of(sha512(ATTESTATION_LABEL, server, x25519PublicKey, instanceId, block));
}
