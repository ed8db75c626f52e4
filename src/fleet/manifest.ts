import { type FleetBody, readBody } from './fleet-body.ts';
import type { FleetHeader } from './fleet-header.ts';
import { noPlatforms, type PlatformList, readPlatformList } from './platform-list.ts';
import type { VerifiedHeader } from './verify-header.ts';

/** The bytes that a header leads to. */
export interface ManifestParts {
  readonly body: Uint8Array;
  /** The document of endorsed platforms, when the body names one. */
  readonly endorsed?: Uint8Array;
  readonly revoked?: Uint8Array;
}

/** What stands in a manifest: its body, and the documents that the body names. */
export interface ManifestContent {
  readonly body: FleetBody;
  readonly endorsed: PlatformList;
  readonly revoked: PlatformList;
}

const proofKey = Symbol('readManifest');

/** Proof that an authority signed what stands in a manifest. Made by {@link readManifest} only. */
export class Manifest implements ManifestContent {
  readonly header: VerifiedHeader;
  readonly body: FleetBody;
  readonly endorsed: PlatformList;
  readonly revoked: PlatformList;
  /** The exact bytes, as they are handed on. */
  readonly parts: ManifestParts;
  readonly #proof = true;

  constructor(
    key: typeof proofKey,
    header: VerifiedHeader,
    { body, endorsed, revoked }: ManifestContent,
    parts: ManifestParts,
  ) {
    if (key !== proofKey) throw new TypeError('a Manifest is made by readManifest only');
    this.header = header;
    this.body = body;
    this.endorsed = endorsed;
    this.revoked = revoked;
    this.parts = parts;
    Object.freeze(this);
  }

  /** Number of the manifest. */
  get serial(): number {
    return this.#proof ? this.header.header.serial : 0;
  }
}

/**
 * Reads everything that a verified header leads to.
 * @throws what {@link readContent} throws.
 */
export const readManifest = (header: VerifiedHeader, parts: ManifestParts): Manifest =>
  new Manifest(proofKey, header, readContent(header.header, parts), parts);

/**
 * Reads what a header leads to, without a look at its signatures.
 * @throws EvidenceError FLEET_BODY_MISMATCH (also for a document that is missing or another), FLEET_BODY_MALFORMED.
 */
export function readContent(header: FleetHeader, parts: ManifestParts): ManifestContent {
  const body = readBody(parts.body, header);
  const named = body.kind === 'rules' ? body.platforms : {};
  return {
    body,
    endorsed: documentOf(named.endorsed, parts.endorsed, header.issuedAtMs),
    revoked: documentOf(named.revoked, parts.revoked, header.issuedAtMs),
  };
}

function documentOf(
  hash: string | undefined,
  bytes: Uint8Array | undefined,
  issuedAtMs: number,
): PlatformList {
  if (hash === undefined) return noPlatforms;
  // Without its document a body would endorse and revoke nothing.
  return readPlatformList(bytes ?? new Uint8Array(0), hash, issuedAtMs);
}
