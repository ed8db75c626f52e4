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
  firstSeen: z.array(z.tuple([z.string(), z.int().nonnegative()])),
});

/** The bytes of a state for the sealed store. */
export function encodeFleetState({
  authority,
  handovers,
  newest,
  pending,
  firstSeen,
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
    firstSeen: [...firstSeen].map(([name, ms]): [string, number] => [name, ms]),
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
  const { authority, newest, pending } = record;
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
