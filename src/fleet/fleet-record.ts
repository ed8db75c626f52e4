import { z } from 'zod';
import { parseBase64, toBase64 } from '../bytes/base64.ts';
import { utf8 } from '../bytes/concat.ts';
import { authoritySchema, successorSchema } from '../trust/fleet-authority.ts';
import type { FleetState } from './fleet-state.ts';
import { type Manifest, readManifest } from './manifest.ts';
import { parseFile, readManifestFile, writeManifestFile } from './manifest-file.ts';
import { type VerifiedHeader, verifyHeader } from './verify-header.ts';

const headerSchema = z.strictObject({ signers: successorSchema, signed: z.string() });
const manifestSchema = z.strictObject({ signers: successorSchema, file: z.string() });

const numbered = z.tuple([z.string(), z.int().nonnegative()]);

/** What a node keeps of its fleet's manifests in the sealed store. */
const recordSchema = z.strictObject({
  version: z.literal(1),
  authority: authoritySchema,
  handovers: z.array(manifestSchema),
  newest: manifestSchema.optional(),
  pending: z
    .strictObject({
      awaited: headerSchema.optional(),
      conflicting: headerSchema.optional(),
      sinceMs: z.int().nonnegative(),
    })
    .optional(),
  firstSeen: z.array(numbered),
  // Absent in records from before handovers waited.
  offered: z
    .strictObject({
      manifest: manifestSchema,
      seenMs: z.int().nonnegative(),
      conflicting: manifestSchema.optional(),
    })
    .optional(),
  formerSerials: z.array(numbered).default([]),
});

/** The bytes of a state for the sealed store. */
export function encodeFleetState({
  authority,
  handovers,
  newest,
  pending,
  firstSeen,
  offered,
  formerSerials,
}: FleetState): Uint8Array {
  const record = {
    version: 1,
    authority,
    handovers: handovers.map(manifestToJson),
    ...(newest === undefined ? {} : { newest: manifestToJson(newest) }),
    ...(pending === undefined
      ? {}
      : {
          pending: {
            ...(pending.awaited === undefined ? {} : { awaited: headerToJson(pending.awaited) }),
            ...(pending.conflicting === undefined ? {} : { conflicting: headerToJson(pending.conflicting) }),
            sinceMs: pending.sinceMs,
          },
        }),
    firstSeen: [...firstSeen],
    ...(offered === undefined
      ? {}
      : {
          offered: {
            manifest: manifestToJson(offered.manifest),
            seenMs: offered.seenMs,
            ...(offered.conflicting === undefined
              ? {}
              : { conflicting: manifestToJson(offered.conflicting) }),
          },
        }),
    formerSerials: [...formerSerials],
  } satisfies z.input<typeof recordSchema>;
  return utf8(JSON.stringify(record));
}

/**
 * Reads the bytes of the sealed store; signatures are verified again, under the authority of that time.
 * @param network hash of block 0, 32 bytes.
 * @throws EvidenceError FLEET_FILE_MALFORMED, and what verifying throws.
 */
export function decodeFleetState(bytes: Uint8Array, network: Uint8Array): FleetState {
  const record = parseFile(recordSchema, new TextDecoder().decode(bytes), 'fleet record');
  const { authority, newest, pending, offered } = record;
  const headerOf = ({ signed, signers }: z.output<typeof headerSchema>): VerifiedHeader =>
    verifyHeader(parseBase64(signed, 'signed'), { network, signers, minimumSerial: 1 });
  const manifestOf = ({ file, signers }: z.output<typeof manifestSchema>): Manifest => {
    const { signed, ...parts } = readManifestFile(file);
    return readManifest(verifyHeader(signed, { network, signers, minimumSerial: 1 }), parts);
  };
  return {
    network,
    authority,
    handovers: record.handovers.map(manifestOf),
    newest: newest === undefined ? undefined : manifestOf(newest),
    pending:
      pending === undefined
        ? undefined
        : {
            awaited: pending.awaited && headerOf(pending.awaited),
            conflicting: pending.conflicting && headerOf(pending.conflicting),
            sinceMs: pending.sinceMs,
          },
    firstSeen: new Map(record.firstSeen),
    offered: offered && {
      manifest: manifestOf(offered.manifest),
      seenMs: offered.seenMs,
      conflicting: offered.conflicting && manifestOf(offered.conflicting),
    },
    formerSerials: new Map(record.formerSerials),
  };
}

const headerToJson = ({ signers, signed }: VerifiedHeader): z.input<typeof headerSchema> => ({
  signers: { ...signers, keys: [...signers.keys] },
  signed: toBase64(signed),
});

const manifestToJson = ({ header, parts }: Manifest): z.input<typeof manifestSchema> => ({
  signers: { ...header.signers, keys: [...header.signers.keys] },
  file: writeManifestFile({ signed: header.signed, ...parts }),
});
