import { z } from 'zod';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { custodianNameSchema, MAX_CUSTODIANS } from '../trust/custody-set.ts';
import { SEALED_PART_BYTES } from './custody-parts.ts';
import type { CustodyPart, GenerationCustody } from './keyslot-file.ts';

const DIGEST_BYTES = 32;
const text = z.string().max(2 * SEALED_PART_BYTES + 2);

/** The schema of one sealed part. */
export const partSchema = z.strictObject({
  custodian: custodianNameSchema,
  digest: text,
  sealed: text,
});

/** The schema of the custody of a generation. */
export const generationCustodySchema = z.strictObject({
  formerSets: z.boolean(),
  parts: z.array(partSchema).max(MAX_CUSTODIANS),
  set: text,
  threshold: z.int().min(0).max(MAX_CUSTODIANS),
});

/** A sealed part as JSON. */
export const partToJson = ({ custodian, sealed, digest }: CustodyPart) => ({
  custodian,
  digest: toPrefixedHex(digest),
  sealed: toPrefixedHex(sealed),
});

/** The custody of a generation as JSON. */
export const custodyToJson = ({ formerSets, threshold, set, parts }: GenerationCustody) => ({
  formerSets,
  parts: parts.map(partToJson),
  set: toPrefixedHex(set),
  threshold,
});

/** Reads a sealed part. @throws EvidenceError FIELD_INVALID. */
export const readPart = (json: z.output<typeof partSchema>, place: string): CustodyPart => ({
  custodian: json.custodian,
  digest: parsePrefixedHex(json.digest, DIGEST_BYTES, `${place}.digest`),
  sealed: parsePrefixedHex(json.sealed, SEALED_PART_BYTES, `${place}.sealed`),
});

/**
 * Reads the custody of a generation.
 * @throws EvidenceError FIELD_INVALID, also for a threshold that does not fit, and for names that are not ascending.
 */
export function readCustody(
  json: z.output<typeof generationCustodySchema>,
  place: string,
): GenerationCustody {
  const { formerSets, threshold } = json;
  const parts = json.parts.map((part, index) => readPart(part, `${place}.parts.${index}`));
  const isEmpty = parts.length === 0 && threshold === 0 && formerSets;
  if (!isEmpty && (threshold < 2 || threshold > parts.length)) {
    throw invalid(`${place}.threshold`, '2 to the number of parts', `${threshold} of ${parts.length}`);
  }
  parts.reduce((previous, { custodian }) => {
    if (custodian <= previous) throw invalid(`${place}.parts`, 'names that ascend', custodian);
    return custodian;
  }, '');
  return { formerSets, threshold, set: parsePrefixedHex(json.set, DIGEST_BYTES, `${place}.set`), parts };
}

const invalid = (field: string, expected: string, observed: string): EvidenceError =>
  new EvidenceError('FIELD_INVALID', `${field} must be ${expected}`, { field, expected, observed });
