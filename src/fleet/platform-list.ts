import { z } from 'zod';
import { tryFromHex } from '../bytes/hex.ts';
import { sha256 } from '../crypto/sha2.ts';
import {
  ascending,
  canonicalBytes,
  type DocumentKind,
  exactHex,
  malformed,
  readExact,
  shortText,
  timeMs,
} from './canonical-json.ts';

/** Longest document: 10,000 platforms are about 2 MB. */
export const MAX_PLATFORM_LIST_BYTES = 4 * 1024 * 1024;

const platform = z.strictObject({
  /** SHA-256 of the PPID. It hides nothing: every quote carries the PPID. */
  platform: exactHex(32),
  owner: shortText,
  place: shortText,
  since: timeMs,
  until: timeMs.optional(),
});

const schema = z.strictObject({
  version: z.literal(1),
  platforms: ascending(platform, 40_000, ({ platform }) => platform),
});

/** A document of a manifest: platforms that somebody vouches for, or that are revoked. */
export type PlatformList = z.output<typeof schema>;
/** One platform, by `0x` hex of SHA-256(PPID). */
export type ListedPlatform = PlatformList['platforms'][number];

const listKind: DocumentKind<PlatformList> = {
  name: 'platform list',
  schema,
  maxBytes: MAX_PLATFORM_LIST_BYTES,
};

/** No platforms. */
export const noPlatforms: PlatformList = { version: 1, platforms: [] };

/** The exact bytes of a document. @throws EvidenceError FLEET_BODY_MALFORMED naming the place. */
export function encodePlatformList(list: PlatformList): Uint8Array {
  const bytes = canonicalBytes(list);
  readExact(bytes, sha256(bytes), listKind);
  return bytes;
}

/**
 * Reads the exact bytes of a document.
 * @param hash `0x` hex of SHA-256, as the body names it.
 * @throws EvidenceError FLEET_BODY_MISMATCH, FLEET_BODY_MALFORMED.
 */
export function readPlatformList(bytes: Uint8Array, hash: string, issuedAtMs: number): PlatformList {
  const list = readExact(bytes, tryFromHex(hash) ?? new Uint8Array(0), listKind);
  const late = list.platforms.find(({ since }) => since > issuedAtMs);
  if (late === undefined) return list;
  throw malformed(listKind.name, 'since', `at most issuedAtMs = ${issuedAtMs}`, `${late.since}`);
}
