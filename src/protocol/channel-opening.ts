import { z } from 'zod';
import { parseBase64, toBase64 } from '../bytes/base64.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import type { HpkeMessage } from '../hpke/key-schedule.ts';
import { type AttestationMessage, attestationToWire, decodeAttestation } from './attestation.ts';
import { attestationAnswer, parseWire } from './decode.ts';

const hexText = (bytes: number) => z.string().regex(new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`));

/** Body of `POST /ring/open`. */
export const ringOpenBody = z.strictObject({
  attestation: attestationAnswer,
  responder: hexText(32).meta({ description: 'digest of the attestation of the node that is asked' }),
  enc: hexText(32),
  ciphertext: z.string().max(256).meta({ description: 'base64' }),
});

/** Answer of `POST /ring/open`. */
export const ringOpenAnswer = z.strictObject({ enc: hexText(32), ciphertext: z.string().max(256) });

/** A request for a channel. */
export interface OpenRequest {
  readonly attestation: AttestationMessage;
  /** Digest of the responder's attestation, 32 bytes. */
  readonly responder: Uint8Array;
  readonly message: HpkeMessage;
}

/** A message of the handshake as JSON. */
export const handshakeToWire = ({ enc, ciphertext }: HpkeMessage): z.output<typeof ringOpenAnswer> => ({
  enc: toPrefixedHex(enc),
  ciphertext: toBase64(ciphertext),
});

/** A request as JSON. */
export const openRequestToWire = (request: OpenRequest): z.output<typeof ringOpenBody> => ({
  attestation: attestationToWire(request.attestation),
  responder: toPrefixedHex(request.responder),
  ...handshakeToWire(request.message),
});

/** Reads the body of a request. @throws EvidenceError FIELD_INVALID. */
export function decodeOpenRequest(json: unknown): OpenRequest {
  const { attestation, responder, ...message } = parseWire(ringOpenBody, json, 'body');
  return {
    attestation: decodeAttestation(attestation, 'attestation'),
    responder: parsePrefixedHex(responder, 32, 'responder'),
    message: handshakeOf(message),
  };
}

/** Reads the answer. @throws EvidenceError FIELD_INVALID. */
export const decodeOpenAnswer = (json: unknown): HpkeMessage =>
  handshakeOf(parseWire(ringOpenAnswer, json, 'answer'));

const handshakeOf = ({ enc, ciphertext }: z.output<typeof ringOpenAnswer>): HpkeMessage => ({
  enc: parsePrefixedHex(enc, 32, 'enc'),
  ciphertext: parseBase64(ciphertext, 'ciphertext'),
});
