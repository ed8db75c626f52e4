import { z } from 'zod';
import { parseBase64, toBase64 } from '../../bytes/base64.ts';
import { type ErrorCode, errorCodes } from '../../errors/codes.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { parseWire } from '../../protocol/decode.ts';
import { MAX_LISTED } from './digest-tree.ts';
import { type FromNode, MAX_RECORDS, type RingReply, type RingRequest } from './messages.ts';

/** Most bytes of one message: an answer with one record more than it may have. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

const hex32 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits');
const hex16 = z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 lower-case hex digits');
const prefix = z.string().regex(/^[0-9a-f]{0,64}$/, 'expected lower-case hex digits');
const order = z.string().regex(/^(?:[0-9a-f]{2}){1,128}$/, 'expected lower-case hex');
const block = z.int().min(-1);
const accounts = z.array(hex32).max(1024);
const set = z.array(hex32).max(64);
const configuration = z.union([z.tuple([set]), z.tuple([set, set])]);
const record = z.string();
const records = z.array(record).max(MAX_RECORDS);

const keptMark = z.strictObject({ id: hex32, mark: hex32, attempt: hex16, atMs: z.int().min(0) });
const MAX_MARKS = 1024;

const status = z.strictObject({ adopted: block, complete: block, draining: z.boolean(), tooOld: accounts });
const requests = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('store'), configuration, bytes: record }),
  z.strictObject({ kind: z.literal('read'), configuration, id: hex32 }),
  z.strictObject({ kind: z.literal('compare'), prefix, digest: hex32, without: accounts }),
  z.strictObject({ kind: z.literal('fetch'), ids: z.array(hex32).max(MAX_RECORDS) }),
  z.strictObject({ kind: z.literal('push'), records }),
  z.strictObject({ kind: z.literal('mark'), configuration, id: hex32, mark: hex32, attempt: hex16 }),
  z.strictObject({ kind: z.literal('marks'), after: z.union([hex32, z.literal('')]) }),
  z.strictObject({ kind: z.literal('repaired') }),
]);
const replies = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('stored') }),
  z.strictObject({ kind: z.literal('superseded'), bytes: record }),
  z.strictObject({ kind: z.literal('record'), bytes: record.optional() }),
  z.strictObject({ kind: z.literal('same') }),
  z.strictObject({ kind: z.literal('list'), listed: z.array(z.tuple([hex32, order])).max(MAX_LISTED) }),
  z.strictObject({ kind: z.literal('split'), digests: z.array(hex32).length(16) }),
  z.strictObject({ kind: z.literal('records'), records }),
  z.strictObject({ kind: z.literal('marked'), attempt: hex16 }),
  z.strictObject({
    kind: z.literal('marks'),
    marks: z.array(keptMark).max(MAX_MARKS),
    upTo: z.union([hex32, z.literal('')]),
  }),
  z.strictObject({ kind: z.literal('done') }),
  z.strictObject({ kind: z.literal('refused'), code: z.string() }),
]);
const fromNode = <Message extends z.ZodType>(message: Message) => z.strictObject({ status, message });

/**
 * Bytes of a request or an answer, for a channel: JSON, records in base64. They may hold secrets; the caller wipes them.
 */
export function encodeMessage(message: FromNode<RingRequest> | FromNode<RingReply>): Uint8Array {
  const json = JSON.stringify(message, (_, value: unknown) =>
    value instanceof Uint8Array ? toBase64(value) : value,
  );
  return new TextEncoder().encode(json);
}

/** Reads a request. @throws EvidenceError FIELD_INVALID, BODY_NOT_JSON. */
export function decodeRequest(bytes: Uint8Array): FromNode<RingRequest> {
  const { status, message } = parseWire(fromNode(requests), parseJson(bytes), 'message');
  return { status, message: withBytes(message) };
}

/** Reads an answer. @throws EvidenceError FIELD_INVALID, BODY_NOT_JSON. */
export function decodeReply(bytes: Uint8Array): FromNode<RingReply> {
  const { status, message } = parseWire(fromNode(replies), parseJson(bytes), 'answer');
  if (message.kind !== 'refused') return { status, message: replyWithBytes(message) };
  return { status, message: { kind: 'refused', code: knownCode(message.code) } };
}

function withBytes(request: z.output<typeof requests>): RingRequest {
  switch (request.kind) {
    case 'store':
      return { ...request, bytes: parseBase64(request.bytes, 'bytes') };
    case 'push':
      return { ...request, records: request.records.map((text) => parseBase64(text, 'records')) };
    default:
      return request;
  }
}

function replyWithBytes(reply: Exclude<z.output<typeof replies>, { kind: 'refused' }>): RingReply {
  switch (reply.kind) {
    case 'superseded':
      return { ...reply, bytes: parseBase64(reply.bytes, 'bytes') };
    case 'record':
      return { ...reply, bytes: reply.bytes === undefined ? undefined : parseBase64(reply.bytes, 'bytes') };
    case 'records':
      return { ...reply, records: reply.records.map((text) => parseBase64(text, 'records')) };
    default:
      return reply;
  }
}

/** A newer node may refuse by a code that this one does not know. */
const knownCode = (code: string): ErrorCode =>
  Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'INTERNAL';

function parseJson(bytes: Uint8Array): unknown {
  try {
    if (bytes.length <= MAX_MESSAGE_BYTES)
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // The same error as for too many bytes.
  }
  throw new EvidenceError('BODY_NOT_JSON', 'the message is no JSON, or too long', {
    expected: `JSON of at most ${MAX_MESSAGE_BYTES} bytes`,
    observed: `${bytes.length} bytes`,
  });
}
