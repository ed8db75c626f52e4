import { z } from 'zod';
import { toPrefixedHex, tryFromHex } from '../bytes/hex.ts';
import { sha256 } from '../crypto/sha2.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { FleetAuthority } from '../trust/fleet-authority.ts';
import { exactHex, shortText, timeMs } from './canonical-json.ts';
import { emptyRules, encodeBody, type FleetBody, type FleetHandover, type FleetRules } from './fleet-body.ts';
import { type FleetHeader, headerHash, LAST_SERIAL, noPredecessor } from './fleet-header.ts';
import type { ManifestContent, ManifestParts } from './manifest.ts';
import { encodePlatformList, type ListedPlatform } from './platform-list.ts';

const listedPlatform = z.strictObject({
  platform: exactHex(32),
  owner: shortText,
  place: shortText,
  until: timeMs.optional(),
});

/** What a person writes: the content of the next manifest, in any order and without dates of first appearance. */
export const draftSchema = z.strictObject({
  trustHashes: z.array(z.strictObject({ hash: z.string(), until: timeMs.optional() })).default([]),
  measurements: z.array(z.strictObject({ id: z.string(), until: timeMs.optional() })).default([]),
  minimumTcbEvaluationDataNumber: z.int().nonnegative().optional(),
  endorsed: z.array(listedPlatform).optional(),
  revoked: z.array(listedPlatform).optional(),
  moves: z.array(z.strictObject({ account: z.string(), from: z.string(), to: z.string() })).default([]),
  rekey: z.strictObject({ id: z.string(), reason: z.string() }).optional(),
  signers: z.array(z.string()).optional(),
});

/** Content of a manifest as {@link draftSchema} reads it. */
export type DraftContent = z.output<typeof draftSchema>;

/** The manifest before a draft. */
export interface FormerManifest {
  readonly header: FleetHeader;
  readonly content: ManifestContent;
}

/** What a manifest is drafted for. */
export interface DraftPlace {
  /** Hash of block 0, 32 bytes. */
  readonly network: Uint8Array;
  readonly authority: Pick<FleetAuthority, 'id' | 'minimumSerial'>;
  /** The manifest before it, or the handover by which this authority signs. */
  readonly former: FormerManifest | undefined;
  readonly issuedAtMs: number;
}

/** A header without signatures, and the bytes that it names. */
export interface Draft {
  readonly header: FleetHeader;
  readonly parts: ManifestParts;
}

/**
 * The next manifest. Entries that stood in the former one keep the date of their first appearance, so that no node
 * waits for them again.
 * @throws EvidenceError FLEET_BODY_MALFORMED naming the place.
 */
export function draftRules(content: DraftContent, place: DraftPlace): Draft {
  const former = place.former?.content;
  const formerRules = former?.body.kind === 'rules' ? former.body : emptyRules;
  const { issuedAtMs } = place;
  const endorsed = documentOf(content.endorsed, former?.endorsed.platforms, issuedAtMs);
  const revoked = documentOf(content.revoked, former?.revoked.platforms, issuedAtMs);
  const body: FleetRules = {
    kind: 'rules',
    version: 1,
    trustHashes: dated(content.trustHashes, formerRules.trustHashes, ({ hash }) => hash, issuedAtMs),
    measurements: dated(content.measurements, formerRules.measurements, ({ id }) => id, issuedAtMs),
    platforms: {
      ...(endorsed === undefined ? {} : { endorsed: toPrefixedHex(sha256(endorsed)) }),
      ...(revoked === undefined ? {} : { revoked: toPrefixedHex(sha256(revoked)) }),
    },
    moves: sorted(content.moves, ({ account, from }) => `${account} ${from}`),
    ...(content.minimumTcbEvaluationDataNumber === undefined
      ? {}
      : { minimumTcbEvaluationDataNumber: content.minimumTcbEvaluationDataNumber }),
    ...(content.rekey === undefined ? {} : { rekey: content.rekey }),
    ...(content.signers === undefined ? {} : { signers: [...content.signers].sort() }),
  };
  const documents = {
    ...(endorsed === undefined ? {} : { endorsed }),
    ...(revoked === undefined ? {} : { revoked }),
  };
  return draftOf(body, documents, place, nextSerial(place));
}

/** The last manifest of an authority. Its serial is the highest, so that it can be signed years before it is used. */
export const draftHandover = (successor: FleetHandover['successor'], place: DraftPlace): Draft =>
  draftOf({ kind: 'handover', version: 1, successor }, {}, place, LAST_SERIAL);

function draftOf(
  body: FleetBody,
  documents: Omit<ManifestParts, 'body'>,
  { network, authority, former, issuedAtMs }: DraftPlace,
  serial: number,
): Draft {
  const bytes = encodeBody(body);
  const header: FleetHeader = {
    network,
    authorityId: idBytes(authority.id),
    serial,
    previous: former === undefined ? noPredecessor : headerHash(former.header),
    bodyHash: sha256(bytes),
    issuedAtMs,
  };
  return { header, parts: { body: bytes, ...documents } };
}

/** One more than the former manifest of the same authority; the first one has the least serial of the trust section. */
function nextSerial({ former, authority }: DraftPlace): number {
  if (former === undefined || toPrefixedHex(former.header.authorityId) !== authority.id)
    return authority.minimumSerial;
  if (former.header.serial < LAST_SERIAL) return Math.max(former.header.serial + 1, authority.minimumSerial);
  throw new ProblemError(
    'FLEET_DRAFT_REFUSED',
    'this authority handed over: it signs no manifest after that',
    {
      field: 'serial',
      hint: 'draft with the configuration that names the successor as trust.authority',
    },
  );
}

interface Dated {
  readonly since: number;
}

function dated<Entry extends object>(
  entries: readonly Entry[],
  former: readonly (Entry & Dated)[],
  nameOf: (entry: Entry) => string,
  nowMs: number,
): (Entry & Dated)[] {
  const since = new Map(former.map((entry) => [nameOf(entry), entry.since] as const));
  return sorted(entries, nameOf).map((entry) => ({ ...entry, since: since.get(nameOf(entry)) ?? nowMs }));
}

function documentOf(
  platforms: DraftContent['endorsed'],
  former: readonly ListedPlatform[] | undefined,
  nowMs: number,
): Uint8Array | undefined {
  if (platforms === undefined) return undefined;
  const list = dated(platforms, former ?? [], ({ platform }) => platform, nowMs);
  return encodePlatformList({ version: 1, platforms: list });
}

const sorted = <Entry>(entries: readonly Entry[], nameOf: (entry: Entry) => string): Entry[] =>
  [...entries].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));

function idBytes(id: string): Uint8Array {
  const bytes = tryFromHex(id);
  if (bytes === undefined) throw new TypeError('not the id of a parsed trust section');
  return bytes;
}
