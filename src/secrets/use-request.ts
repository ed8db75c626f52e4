import { z } from 'zod';
import { parseBase64, toBase64 } from '../bytes/base64.ts';
import { utf8 } from '../bytes/concat.ts';
import { RecordId } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { hexText, parseWire } from '../protocol/decode.ts';
import { verbs } from './acl.ts';
import type { WantedRequest } from './relay/outgoing-request.ts';

/** Bytes of the name that a caller gives a request. */
export const IDEMPOTENCY_KEY_BYTES = 16;

/** What a caller asks a node to do with a secret. */
export interface UseRequest extends WantedRequest {
  /** Of the secret. */
  readonly id: RecordId;
  /** 16 bytes; a request is made once for each, whichever node is asked. */
  readonly idempotencyKey: Uint8Array;
}

const useFields = z.strictObject({
  id: hexText(32),
  idempotencyKey: hexText(IDEMPOTENCY_KEY_BYTES),
  verb: z.string(),
  url: z.string(),
  headers: z.array(z.tuple([z.string(), z.string()])),
  body: z.string(),
});

/** JSON of a request, UTF-8; the body in base64. */
export const encodeUse = ({ id, idempotencyKey, verb, url, headers, body }: UseRequest): Uint8Array =>
  utf8(
    JSON.stringify({
      id: toPrefixedHex(id),
      idempotencyKey: toPrefixedHex(idempotencyKey),
      verb,
      url,
      headers,
      body: toBase64(body),
    }),
  );

/** @throws EvidenceError FIELD_INVALID, BODY_NOT_JSON, SECRET_VERB_UNKNOWN. */
export function decodeUse(bytes: Uint8Array): UseRequest {
  const fields = parseWire(useFields, parseJson(bytes), 'content');
  if (!verbs.some((verb) => verb === fields.verb)) {
    throw new EvidenceError('SECRET_VERB_UNKNOWN', 'there is no such verb', {
      field: 'verb',
      expected: verbs.join(', '),
    });
  }
  return {
    ...fields,
    id: RecordId.parse(fields.id, 'id'),
    idempotencyKey: parsePrefixedHex(fields.idempotencyKey, IDEMPOTENCY_KEY_BYTES, 'idempotencyKey'),
    body: parseBase64(fields.body, 'body'),
  };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // The text of the error has bytes of the request.
    throw new EvidenceError('BODY_NOT_JSON', 'the sealed content is not valid JSON', { field: 'content' });
  }
}
