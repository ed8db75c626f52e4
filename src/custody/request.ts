import canonicalize from 'canonicalize';
import { z } from 'zod';
import { parseBase64, toBase64 } from '../bytes/base64.ts';
import { utf8 } from '../bytes/concat.ts';
import { AccountId, BlockHash, ReportData } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { sha256, sha512 } from '../crypto/sha2.ts';
import { X_WING_PUBLIC_KEY_BYTES } from '../crypto/x-wing.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { partSchema, partToJson, readPart } from '../keyslots/custody-codec.ts';
import { type PartBinding, partsDigest } from '../keyslots/custody-parts.ts';
import type { CustodyPart } from '../keyslots/keyslot-file.ts';
import { STORE_ID_BYTES, type StoreIdentity } from '../keyslots/keyslot-file.ts';
import type { BlockReference } from '../protocol/report-data.ts';
import { MAX_CUSTODIANS } from '../trust/custody-set.ts';
import { decodeBlock, encodeBlock, malformedBlock } from './text-block.ts';

/** Start of the report data of a request. */
export const REQUEST_LABEL: Uint8Array = utf8('latchkey/v1/custody/request');
const DIGEST_BYTES = 32;
const MAX_SERVERS = 32;
/** The last time that a date can be (ECMA-262 section 21.4.1.1). A file system may show a later one. */
export const MAX_DATE_MS = 8_640_000_000_000_000;

const reportSchema = z.strictObject({
  /** When the request was made, by the clock of the node, which its host sets; not before the newest block. */
  madeAtMs: z.int().nonnegative().max(MAX_DATE_MS),
  /** The time in the newest finalized block that the node knew; absent on a chain without times. */
  blockAtMs: z.int().nonnegative().max(MAX_DATE_MS).optional(),
  /** Why the store is locked, in the node's words. */
  reason: z.string().max(512),
  servers: z
    .array(z.strictObject({ account: z.string().max(64), standing: z.string().max(256) }))
    .max(MAX_SERVERS),
  /** The last record on the disk by the headers of the log, which only the store key authenticates. */
  sequence: z.int().nonnegative().optional(),
  /** When the disk says that the log was changed last, in milliseconds. */
  changedAtMs: z.int().nonnegative().max(MAX_DATE_MS).optional(),
});

/** What a locked node says of itself. The host can make all of it look different, but for what the quote proves. */
export type CustodyReport = z.output<typeof reportSchema>;

/** What a locked node asks of its custodians, without the quote. */
export interface CustodyQuestion extends StoreIdentity {
  readonly generation: number;
  /** How many custodians are needed. */
  readonly threshold: number;
  /** Digest of the set of custodians, 32 bytes. */
  readonly set: Uint8Array;
  readonly parts: readonly CustodyPart[];
  /** SHA-256 of the keyslot file, 32 bytes. */
  readonly keyslots: Uint8Array;
  /** X-Wing public key, 1216 bytes; its seed is only in the memory of the process that asks. */
  readonly oneTimeKey: Uint8Array;
  readonly finalized: BlockReference;
  readonly report: CustodyReport;
}

/** The part of a question that says how the parts of one generation are sealed. */
export type SealedParts = Pick<
  CustodyQuestion,
  'account' | 'storeId' | 'generation' | 'threshold' | 'set' | 'parts'
>;

/** A request: the question and a quote over it. */
export interface CustodyRequest extends CustodyQuestion {
  readonly quote: Uint8Array;
}

const requestSchema = z.strictObject({
  account: z.string().max(64),
  finalized: z.strictObject({ hash: z.string().max(80), number: z.int().nonnegative() }),
  format: z.literal('latchkey-custody-request'),
  generation: z.int().min(1),
  keyslots: z.string().max(80),
  oneTimeKey: z.string().max(2 * X_WING_PUBLIC_KEY_BYTES + 2),
  parts: z.array(partSchema).min(2).max(MAX_CUSTODIANS),
  quote: z.string().max(64 * 1024),
  report: reportSchema,
  set: z.string().max(80),
  storeId: z.string().max(80),
  threshold: z.int().min(2).max(MAX_CUSTODIANS),
  version: z.literal(1),
});

/**
 * The 64 bytes that the quote of a request must carry: SHA-512("latchkey/v1/custody/request" ‖ account ‖ store id ‖
 * SHA-256 of the keyslot file ‖ generation (u64) ‖ threshold (1 byte) ‖ digest of the parts ‖ digest of the set ‖ one-time
 * key ‖ number (u64) and hash of the finalized block ‖ SHA-256 of the canonical JSON of the report).
 */
export const custodyReportData = (question: CustodyQuestion): ReportData =>
  ReportData.of(
    sha512(
      REQUEST_LABEL,
      question.account,
      question.storeId,
      question.keyslots,
      u64BigEndian(question.generation),
      Uint8Array.of(question.threshold),
      partsDigest(question.parts),
      question.set,
      question.oneTimeKey,
      u64BigEndian(question.finalized.number),
      question.finalized.hash,
      sha256(utf8(canonicalize(question.report) ?? '')),
    ),
  );

/** What the part at one position of a request is bound to. */
export const bindingOf = (
  { account, storeId, generation, threshold, set, parts }: SealedParts,
  index: number,
): PartBinding => ({ account, storeId, generation, threshold, set, count: parts.length, index });

/** A request as a text block. */
export const encodeRequest = (request: CustodyRequest): string =>
  encodeBlock('REQUEST', {
    account: encodeSs58(request.account),
    finalized: { hash: toPrefixedHex(request.finalized.hash), number: request.finalized.number },
    format: 'latchkey-custody-request',
    generation: request.generation,
    keyslots: toPrefixedHex(request.keyslots),
    oneTimeKey: toPrefixedHex(request.oneTimeKey),
    parts: request.parts.map(partToJson),
    quote: toBase64(request.quote),
    report: request.report,
    set: toPrefixedHex(request.set),
    storeId: toPrefixedHex(request.storeId),
    threshold: request.threshold,
    version: 1,
  });

/**
 * Reads a request. It is well formed and nothing more: `judgeRequest` verifies it.
 * @throws EvidenceError CUSTODY_BLOCK_MALFORMED.
 */
export function decodeRequest(text: string): CustodyRequest {
  const parsed = requestSchema.safeParse(decodeBlock('REQUEST', text));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw malformedBlock('REQUEST', `${issue?.path.join('.')}: ${issue?.message}`);
  }
  const json = parsed.data;
  try {
    return {
      account: AccountId.parse(json.account, 'account'),
      storeId: parsePrefixedHex(json.storeId, STORE_ID_BYTES, 'storeId'),
      generation: json.generation,
      threshold: json.threshold,
      set: parsePrefixedHex(json.set, DIGEST_BYTES, 'set'),
      parts: json.parts.map((part, index) => readPart(part, `parts.${index}`)),
      keyslots: parsePrefixedHex(json.keyslots, DIGEST_BYTES, 'keyslots'),
      oneTimeKey: parsePrefixedHex(json.oneTimeKey, X_WING_PUBLIC_KEY_BYTES, 'oneTimeKey'),
      finalized: {
        number: json.finalized.number,
        hash: BlockHash.parse(json.finalized.hash, 'finalized.hash'),
      },
      report: json.report,
      quote: parseBase64(json.quote, 'quote'),
    };
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error;
    throw malformedBlock('REQUEST', error.message, error);
  }
}
