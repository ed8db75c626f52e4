import { z } from 'zod';
import { toBase64, tryFromBase64 } from '../bytes/base64.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { FLEET_HEADER_BYTES, LAST_SERIAL, serialIn } from './fleet-header.ts';
import type { ManifestParts } from './manifest.ts';

/** Longest manifest file: the longest body and two documents, in base64. */
export const MAX_MANIFEST_FILE_BYTES = 13 * 1024 * 1024;

/** What a manifest file holds, not verified. */
export interface ManifestFile extends ManifestParts {
  /** The exact bytes of header and signatures. */
  readonly signed: Uint8Array;
}

/** Whether the bytes of a signed header say that it is a handover; nothing is verified. */
export const isHandover = (signed: Uint8Array): boolean =>
  signed.length >= FLEET_HEADER_BYTES && serialIn(signed) === BigInt(LAST_SERIAL);

const base64 = z.string();
const schema = z.strictObject({
  format: z.literal('latchkey-fleet-manifest'),
  version: z.literal(1),
  header: base64,
  body: base64,
  endorsed: base64.optional(),
  revoked: base64.optional(),
});

/** A manifest as text: JSON, with the exact bytes of each part in base64. Signatures cover the parts, not the text. */
export const writeManifestFile = (file: ManifestFile): string =>
  `${JSON.stringify(fileToJson(file), null, 2)}\n`;

/** Reads the text of a manifest file. @throws EvidenceError FLEET_FILE_MALFORMED. */
export const readManifestFile = (text: string): ManifestFile =>
  fileFromJson(parseFile(schema, text, 'manifest file'));

const fileToJson = ({ signed, body, endorsed, revoked }: ManifestFile): z.input<typeof schema> => ({
  format: 'latchkey-fleet-manifest',
  version: 1,
  header: toBase64(signed),
  body: toBase64(body),
  ...(endorsed === undefined ? {} : { endorsed: toBase64(endorsed) }),
  ...(revoked === undefined ? {} : { revoked: toBase64(revoked) }),
});

const fileFromJson = ({ header, body, endorsed, revoked }: z.output<typeof schema>): ManifestFile => ({
  signed: bytesOf(header, 'header'),
  body: bytesOf(body, 'body'),
  ...(endorsed === undefined ? {} : { endorsed: bytesOf(endorsed, 'endorsed') }),
  ...(revoked === undefined ? {} : { revoked: bytesOf(revoked, 'revoked') }),
});

/** What a server answers to the question for its manifests: handovers, then the newest one. */
export const manifestList = z.strictObject({ manifests: z.array(schema).max(64) });

/** Several manifests as JSON, in the order in which a reader takes them. */
export const writeManifestList = (files: readonly ManifestFile[]): z.input<typeof manifestList> => ({
  manifests: files.map(fileToJson),
});

/** Reads what {@link writeManifestList} gave, or one manifest file. @throws EvidenceError FLEET_FILE_MALFORMED. */
export const readManifestList = (text: string): readonly ManifestFile[] =>
  manifestsOf(jsonIn(text, 'manifests'));

/** As {@link readManifestList}, of JSON that was parsed already. @throws EvidenceError FLEET_FILE_MALFORMED. */
export function manifestsOf(json: unknown): readonly ManifestFile[] {
  const read = readJson(z.union([manifestList, schema]), json, 'manifests');
  return ('manifests' in read ? read.manifests : [read]).map(fileFromJson);
}

/** JSON text of a schema. @throws EvidenceError FLEET_FILE_MALFORMED. */
export const parseFile = <Value>(fileSchema: z.ZodType<Value>, text: string, name: string): Value =>
  readJson(fileSchema, jsonIn(text, name), name);

function jsonIn(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformedFile(name, 'JSON', 'other text');
  }
}

function readJson<Value>(fileSchema: z.ZodType<Value>, json: unknown, name: string): Value {
  const parsed = fileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw malformedFile([name, ...(issue?.path ?? [])].join(' '), 'as documented', issue?.message ?? 'not');
}

function bytesOf(text: string, field: string): Uint8Array {
  const bytes = tryFromBase64(text);
  if (bytes !== undefined) return bytes;
  throw malformedFile(`manifest file ${field}`, 'base64', `${text.length} characters that are not`);
}

/** A fault in a file of the fleet. */
export const malformedFile = (field: string, expected: string, observed: string): EvidenceError =>
  new EvidenceError('FLEET_FILE_MALFORMED', `${field} must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });
