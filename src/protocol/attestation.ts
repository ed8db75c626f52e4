import type { z } from 'zod';
import { parseBase64, toBase64 } from '../bytes/base64.ts';
import { AccountId, BlockHash, InstanceId, X25519PublicKey } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { attestationAnswer, parseWire } from './decode.ts';
import type { AttestationParameters } from './report-data.ts';

/** What a server's own attestation says, with the quote that is to prove it. */
export interface AttestationMessage extends AttestationParameters {
  readonly quote: Uint8Array;
}

/** The JSON of `GET /attestation`. */
export const attestationToWire = (attestation: AttestationMessage): z.output<typeof attestationAnswer> => ({
  server: encodeSs58(attestation.server),
  x25519PublicKey: toPrefixedHex(attestation.x25519PublicKey),
  instanceId: toPrefixedHex(attestation.instanceId),
  finalized: { number: attestation.finalized.number, hash: toPrefixedHex(attestation.finalized.hash) },
  quote: toBase64(attestation.quote),
});

/** Reads what {@link attestationToWire} made; proves nothing. @throws EvidenceError FIELD_INVALID. */
export function decodeAttestation(json: unknown, what: string): AttestationMessage {
  const answer = parseWire(attestationAnswer, json, what);
  return {
    server: AccountId.parse(answer.server, 'server'),
    x25519PublicKey: X25519PublicKey.parse(answer.x25519PublicKey, 'x25519PublicKey'),
    instanceId: InstanceId.parse(answer.instanceId, 'instanceId'),
    finalized: {
      number: answer.finalized.number,
      hash: BlockHash.parse(answer.finalized.hash, 'finalized.hash'),
    },
    quote: parseBase64(answer.quote, 'quote'),
  };
}
