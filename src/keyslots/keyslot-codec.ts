import canonicalize from 'canonicalize';
import { z } from 'zod';
import { utf8 } from '../bytes/concat.ts';
import { AccountId, InstanceId, KeyId, Mac, SlotId } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { EvidenceError, LatchkeyError } from '../errors/latchkey-error.ts';
import { custodyToJson, generationCustodySchema, readCustody } from './custody-codec.ts';
import {
  type Generation,
  type KeyslotFile,
  type Slot,
  STORE_ID_BYTES,
  type StoreIdentity,
} from './keyslot-file.ts';
import { SEALED_LINEAGE_BYTES, sealedSlotBytes } from './slot-seal.ts';
import { MAX_SLOTS } from './threshold.ts';

/** Version of the file's layout. */
export const KEYSLOT_FILE_VERSION = 1;
/** Two generations of 16 slots and 16 custodians have less than 105 kB. */
export const MAX_KEYSLOT_FILE_BYTES = 128 * 1024;
const TOKEN_BYTES = 32;

const text = z.string().max(512);
const slotSchema = z.strictObject({
  confirmed: z.boolean(),
  index: z.int().nonnegative().max(MAX_SLOTS),
  instanceId: text,
  keyId: text,
  recoveryToken: text,
  sealed: text,
  server: text,
  slotId: text,
});
const generationSchema = z.strictObject({
  custody: generationCustodySchema.optional(),
  generation: z.int().min(1),
  lineage: text,
  mac: text,
  n: z.int().min(1).max(MAX_SLOTS),
  slots: z.array(slotSchema).min(1).max(MAX_SLOTS),
  t: z.int().min(1).max(MAX_SLOTS),
});
const fileSchema = z.strictObject({
  account: text,
  format: z.literal('latchkey-keyslots'),
  generations: z.array(generationSchema).min(1).max(2),
  storeId: text,
  version: z.literal(KEYSLOT_FILE_VERSION),
});

const slotToJson = (slot: Slot) => ({
  confirmed: slot.confirmed,
  index: slot.index,
  instanceId: toPrefixedHex(slot.instanceId),
  keyId: toPrefixedHex(slot.keyId),
  recoveryToken: toPrefixedHex(slot.recoveryToken.reveal()),
  sealed: toPrefixedHex(slot.sealed),
  server: encodeSs58(slot.server),
  slotId: toPrefixedHex(slot.slotId),
});

const generationToJson = ({ generation, t, n, slots, lineage, custody }: Omit<Generation, 'mac'>) => ({
  ...(custody === undefined ? {} : { custody: custodyToJson(custody) }),
  generation,
  lineage: toPrefixedHex(lineage),
  n,
  slots: slots.map(slotToJson),
  t,
});

const canonicalBytes = (value: object): Uint8Array => utf8(canonicalize(value) ?? '');

/** The bytes of a generation that its MAC covers: the file without other generations and MACs. */
export const macInput = (identity: StoreIdentity, generation: Omit<Generation, 'mac'>): Uint8Array =>
  canonicalBytes({
    account: encodeSs58(identity.account),
    format: 'latchkey-keyslots',
    generation: generationToJson(generation),
    storeId: toPrefixedHex(identity.storeId),
    version: KEYSLOT_FILE_VERSION,
  });

/** The file's bytes: canonical JSON (RFC 8785). */
export function encodeKeyslotFile(file: KeyslotFile): Uint8Array {
  return canonicalBytes({
    account: encodeSs58(file.account),
    format: 'latchkey-keyslots',
    generations: file.generations.map((generation) => ({
      ...generationToJson(generation),
      mac: toPrefixedHex(generation.mac),
    })),
    storeId: toPrefixedHex(file.storeId),
    version: KEYSLOT_FILE_VERSION,
  });
}

/**
 * Reads the file's bytes, which come from a hostile disk: bounded, every field checked, and only the one canonical
 * spelling accepted. What it returns is well formed and nothing more; only a store key proves its MACs.
 * @throws EvidenceError KEYSLOT_FILE_MALFORMED naming the place.
 */
export function decodeKeyslotFile(bytes: Uint8Array): KeyslotFile {
  if (bytes.length > MAX_KEYSLOT_FILE_BYTES) {
    malformed('length', `at most ${MAX_KEYSLOT_FILE_BYTES} bytes`, `${bytes.length} bytes`);
  }
  const parsed = fileSchema.safeParse(parseJson(bytes));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return malformed(
      issue?.path.join('.') || 'file',
      'the documented layout',
      issue?.message ?? 'something else',
    );
  }
  const file = readFile(parsed.data);
  if (Buffer.compare(encodeKeyslotFile(file), bytes) !== 0) {
    malformed('file', 'canonical JSON (RFC 8785)', 'another spelling of the same content');
  }
  return file;
}

function malformed(field: string, expected: string, observed: string, cause?: unknown): never {
  throw new EvidenceError(
    'KEYSLOT_FILE_MALFORMED',
    `keyslot file: ${field} must be ${expected}, got ${observed}`,
    { field, expected, observed, cause },
  );
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return malformed('file', 'JSON in UTF-8', 'something else', error);
  }
}

function readFile(json: z.output<typeof fileSchema>): KeyslotFile {
  try {
    const [first, second] = json.generations.map(readGeneration);
    if (first === undefined) return malformed('generations', 'one or two', 'none');
    if (second !== undefined && first.generation <= second.generation) {
      malformed('generations', 'the newer first', `${first.generation}, ${second.generation}`);
    }
    const generations = second === undefined ? ([first] as const) : ([first, second] as const);
    requireDistinct(
      generations.flatMap(({ slots }) => slots.map(({ slotId }) => toPrefixedHex(slotId))),
      'slotId',
    );
    return {
      account: AccountId.parse(json.account, 'account'),
      storeId: parsePrefixedHex(json.storeId, STORE_ID_BYTES, 'storeId'),
      generations,
    };
  } catch (error) {
    if (!(error instanceof LatchkeyError) || error.code === 'KEYSLOT_FILE_MALFORMED') throw error;
    const { field = 'file', expected = 'valid', observed = 'something else' } = error;
    return malformed(field, expected, observed, error);
  }
}

function readGeneration(json: z.output<typeof generationSchema>, position: number): Generation {
  const place = `generations.${position}`;
  const { generation, t, n } = json;
  if (t > n) malformed(`${place}.t`, `at most n = ${n}`, `${t}`);
  const slots = json.slots.map((slot, index) => readSlot(slot, t, `${place}.slots.${index}`));
  if (slots.length < t) malformed(`${place}.slots`, `${t} to ${n} slots`, `${slots.length}`);
  slots.reduce((previous, { index }) => {
    if (index <= previous || index >= n)
      malformed(`${place}.slots`, `indexes ascending below n = ${n}`, `${index}`);
    return index;
  }, -1);
  requireDistinct(
    slots.map(({ server }) => toPrefixedHex(server)),
    `${place}.slots.server`,
  );
  const lineage = parsePrefixedHex(json.lineage, SEALED_LINEAGE_BYTES, `${place}.lineage`);
  const custody =
    json.custody === undefined ? {} : { custody: readCustody(json.custody, `${place}.custody`) };
  return { generation, t, n, slots, lineage, ...custody, mac: Mac.parse(json.mac, `${place}.mac`) };
}

function readSlot(json: z.output<typeof slotSchema>, t: number, place: string): Slot {
  return {
    index: json.index,
    server: AccountId.parse(json.server, `${place}.server`),
    slotId: SlotId.parse(json.slotId, `${place}.slotId`),
    keyId: KeyId.parse(json.keyId, `${place}.keyId`),
    recoveryToken: SecretBytes.adopt(
      parsePrefixedHex(json.recoveryToken, TOKEN_BYTES, `${place}.recoveryToken`),
    ),
    instanceId: InstanceId.parse(json.instanceId, `${place}.instanceId`),
    confirmed: json.confirmed,
    sealed: parsePrefixedHex(json.sealed, sealedSlotBytes(t), `${place}.sealed`),
  };
}

function requireDistinct(values: readonly string[], field: string): void {
  if (new Set(values).size !== values.length) malformed(field, 'different in every slot', 'a value twice');
}
