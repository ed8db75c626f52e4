import { z } from 'zod';
import { parseBase64, toBase64 } from '../bytes/base64.ts';
import { concatBytes, equalBytes, utf8 } from '../bytes/concat.ts';
import { ReportData } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { RandomSource } from '../crypto/random.ts';
import { X_WING_CIPHERTEXT_BYTES } from '../crypto/x-wing.ts';
import { EvidenceError, LatchkeyError } from '../errors/latchkey-error.ts';
import { openWithXWing, sealToXWing } from '../hpke/hpke-x-wing.ts';
import { openPart, PART_BYTES, partDigest, SEALED_PART_BYTES } from '../keyslots/custody-parts.ts';
import type { CustodyPart } from '../keyslots/keyslot-file.ts';
import { MAX_CUSTODIANS } from '../trust/custody-set.ts';
import { judgePlatform } from './judge-platform.ts';
import { JudgedCustodyRequest } from './judge-request.ts';
import { bindingOf, custodyReportData, type SealedParts } from './request.ts';
import { decodeBlock, encodeBlock, malformedBlock } from './text-block.ts';

/** HPKE `info` of an answer. */
export const ANSWER_LABEL: Uint8Array = utf8('latchkey/v1/custody/answer');

const answerSchema = z.strictObject({
  format: z.literal('latchkey-custody-answer'),
  index: z
    .int()
    .min(0)
    .max(MAX_CUSTODIANS - 1),
  request: z.string().max(160),
  sealed: z.string().max(4 * SEALED_PART_BYTES),
  version: z.literal(1),
});

/** A custodian's answer: the part, sealed to the one-time key of one request. */
export interface CustodyAnswer {
  /** Report data of the request, 64 bytes. */
  readonly request: Uint8Array;
  /** Position of the part. */
  readonly index: number;
  /** Encapsulated key ‖ ciphertext ‖ tag. */
  readonly sealed: Uint8Array;
}

/** The part of a request that a custodian's key opens. */
export interface OwnPart {
  readonly index: number;
  readonly custodian: string;
  /** {@link PART_BYTES} bytes; the caller wipes it. */
  readonly part: Uint8Array;
}

/**
 * Finds and opens the part that is sealed to a custodian.
 * @throws EvidenceError CUSTODY_PART_WRONG when none opens, or its digest is not the stated one.
 */
export function openOwnPart(question: SealedParts, seed: SecretBytes): OwnPart {
  for (const [index, { custodian, sealed, digest }] of question.parts.entries()) {
    const part = openPart(seed.reveal(), bindingOf(question, index), sealed);
    if (part === undefined) continue;
    if (equalBytes(partDigest(part), digest)) return { index, custodian, part };
    part.fill(0);
    throw partWrong(`the part of ${custodian} opens, and is not the one that its digest names`);
  }
  throw partWrong('no part opens with this key');
}

const partWrong = (message: string): EvidenceError =>
  new EvidenceError('CUSTODY_PART_WRONG', message, {
    hint: 'is this the key that the trust section of the fleet names? A changed keyslot file looks the same; `latchkey custody check` with an older copy of that file tells them apart',
  });

const associatedData = (request: Uint8Array, index: number): Uint8Array =>
  concatBytes(request, Uint8Array.of(index));

/**
 * Seals a custodian's part to the one-time key of a request that was judged; a text block.
 * @throws TypeError for anything that `judgeRequest` did not make; what {@link judgePlatform} throws.
 */
export function makeAnswer(judged: JudgedCustodyRequest, own: OwnPart, random?: RandomSource): string {
  if (!JudgedCustodyRequest.isProof(judged)) {
    throw new TypeError('an answer is made to a JudgedCustodyRequest, which judgeRequest makes');
  }
  judgePlatform(judged, own.part);
  const { request } = judged;
  const reportData = custodyReportData(request);
  const { enc, ciphertext } = sealToXWing(
    {
      recipientPublicKey: request.oneTimeKey,
      info: ANSWER_LABEL,
      aad: associatedData(reportData, own.index),
      plaintext: own.part,
    },
    random,
  );
  return encodeBlock('ANSWER', {
    format: 'latchkey-custody-answer',
    index: own.index,
    request: toPrefixedHex(reportData),
    sealed: toBase64(concatBytes(enc, ciphertext)),
    version: 1,
  });
}

/** Reads an answer. @throws EvidenceError CUSTODY_BLOCK_MALFORMED. */
export function decodeAnswer(text: string): CustodyAnswer {
  const parsed = answerSchema.safeParse(decodeBlock('ANSWER', text));
  if (!parsed.success) throw malformedBlock('ANSWER', parsed.error.issues[0]?.message ?? 'another layout');
  try {
    const sealed = parseBase64(parsed.data.sealed, 'sealed');
    if (sealed.length !== SEALED_PART_BYTES) throw malformedBlock('ANSWER', `${sealed.length} sealed bytes`);
    const request = ReportData.parse(parsed.data.request, 'request');
    return { request, index: parsed.data.index, sealed };
  } catch (error) {
    if (!(error instanceof LatchkeyError) || error.code === 'CUSTODY_BLOCK_MALFORMED') throw error;
    throw malformedBlock('ANSWER', error.message, error);
  }
}

/**
 * Opens an answer with the seed of the one-time key, and compares the part with the digest of the keyslot file.
 * @returns the part, {@link PART_BYTES} bytes, which the caller wipes; `undefined` when it is not the right one.
 */
export function openAnswer(
  { request, index, sealed }: CustodyAnswer,
  expected: Pick<CustodyPart, 'digest'>,
  seed: SecretBytes,
): Uint8Array | undefined {
  const part = openWithXWing({
    seed: seed.reveal(),
    info: ANSWER_LABEL,
    aad: associatedData(request, index),
    enc: sealed.subarray(0, X_WING_CIPHERTEXT_BYTES),
    ciphertext: sealed.subarray(X_WING_CIPHERTEXT_BYTES),
  });
  if (part === undefined) return undefined;
  if (part.length === PART_BYTES && equalBytes(partDigest(part), expected.digest)) return part;
  part.fill(0);
  return undefined;
}
