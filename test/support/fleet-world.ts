import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { Ed25519Signer } from '../../src/crypto/ed25519.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { emptyRules, encodeBody, type FleetBody, type FleetRules } from '../../src/fleet/fleet-body.ts';
import { type FleetHeader, LAST_SERIAL, noPredecessor } from '../../src/fleet/fleet-header.ts';
import {
  type FleetState,
  noManifestYet,
  noteHeader,
  settled,
  takeManifest,
} from '../../src/fleet/fleet-state.ts';
import { type Manifest, type ManifestParts, readManifest } from '../../src/fleet/manifest.ts';
import { encodePlatformList, type PlatformList } from '../../src/fleet/platform-list.ts';
import { addSignature } from '../../src/fleet/sign-header.ts';
import { encodeSignedHeader, type SignedHeader } from '../../src/fleet/signed-header.ts';
import { type HeaderRules, verifyHeader } from '../../src/fleet/verify-header.ts';
import type { FleetAuthority } from '../../src/trust/fleet-authority.ts';

export const HOUR_MS = 3_600_000;
/** The delay of the authorities here. */
export const DELAY_MS = 24 * HOUR_MS;
/** When the first manifests are issued. */
export const START_MS = Date.UTC(2026, 10, 1);

/** Bytes that are the same at every run. */
export const fixed = (name: string, length = 32): Uint8Array =>
  sha256(utf8(`latchkey fleet/${name}`)).subarray(0, length);
export const network = fixed('genesis');
export const hashOf = (name: string): string =>
  toPrefixedHex(concatBytes(fixed(name), fixed(`${name} end`, 16)));
export const idOf = (name: string): string => toPrefixedHex(fixed(name));

/** A header with the signatures of some keys. */
export const signedBy = (header: FleetHeader, signers: readonly Ed25519Signer[]): Uint8Array =>
  encodeSignedHeader(signers.reduce<SignedHeader>(addSignature, { header, signatures: [] }));

/** An authority whose keys are all here. */
export class AuthorityWorld {
  readonly signers: readonly Ed25519Signer[];
  readonly authority: FleetAuthority;

  constructor(name = 'authority', { keys = 3, threshold = 2, minimumSerial = 1 } = {}) {
    this.signers = Array.from(
      { length: keys },
      (_, index) => new Ed25519Signer(fixed(`${name} key ${index}`)),
    );
    this.authority = {
      id: toPrefixedHex(fixed(name, 16)),
      threshold,
      keys: this.signers.map(({ publicKey }) => toPrefixedHex(publicKey)).sort(),
      minimumSerial,
      delayMs: DELAY_MS,
    };
  }

  get rules(): HeaderRules {
    return { network, signers: this.authority, minimumSerial: this.authority.minimumSerial };
  }

  get authorityId(): Uint8Array {
    return new Uint8Array(Buffer.from(this.authority.id.slice(2), 'hex'));
  }

  header(fields: Partial<FleetHeader> = {}): FleetHeader {
    return {
      network,
      authorityId: this.authorityId,
      serial: 1,
      previous: noPredecessor,
      bodyHash: sha256(encodeBody(emptyRules)),
      issuedAtMs: START_MS,
      ...fields,
    };
  }

  /** Signed by the first keys; by default by as many as the threshold. */
  sign(header: FleetHeader, by = this.authority.threshold): Uint8Array {
    return signedBy(header, this.signers.slice(0, by));
  }

  /** The last manifest of this authority, in favour of another. */
  handover({ id, threshold, keys }: FleetAuthority, fields: Partial<FleetHeader> = {}): Manifest {
    const successor = { id, threshold, keys: [...keys] };
    return this.issue({ kind: 'handover', version: 1, successor }, { serial: LAST_SERIAL, ...fields });
  }

  /** A complete manifest. */
  issue(
    content: Partial<FleetRules> | Extract<FleetBody, { kind: 'handover' }>,
    fields: Partial<FleetHeader> = {},
    lists: { readonly endorsed?: PlatformList; readonly revoked?: PlatformList } = {},
  ): Manifest {
    const parts: { -readonly [Part in keyof ManifestParts]: ManifestParts[Part] } = {
      body: new Uint8Array(),
    };
    const platforms: { endorsed?: string; revoked?: string } = {};
    for (const name of ['endorsed', 'revoked'] as const) {
      const list = lists[name];
      if (list === undefined) continue;
      const bytes = encodePlatformList(list);
      parts[name] = bytes;
      platforms[name] = toPrefixedHex(sha256(bytes));
    }
    const body: FleetBody =
      content.kind === 'handover' ? content : { ...emptyRules, platforms, ...content, kind: 'rules' };
    parts.body = encodeBody(body);
    const signed = this.sign(this.header({ bodyHash: sha256(parts.body), ...fields }));
    return readManifest(verifyHeader(signed, { ...this.rules, minimumSerial: 1 }), parts);
  }
}

/** The state after a manifest was seen and taken. */
export function seen(state: FleetState, manifest: Manifest, nowMs: number): FleetState {
  return takeManifest(noteHeader(state, manifest.header.signed, nowMs).state, manifest, nowMs);
}

/** The state after a handover was seen and its delay is over. */
export function handedOver(state: FleetState, handover: Manifest, nowMs: number): FleetState {
  const afterDelay = nowMs + state.authority.delayMs;
  return settled(seen(state, handover, nowMs), { nowMs: afterDelay, chainMs: afterDelay }, 'own-sight');
}

export const freshState = ({ authority }: AuthorityWorld): FleetState => noManifestYet(authority, network);

/** A list of platforms by name. */
export const platformList = (...names: readonly string[]): PlatformList => ({
  version: 1,
  platforms: names
    .map((name) => ({ platform: idOf(name), owner: 'Example', place: 'rack 1', since: START_MS }))
    .sort((a, b) => (a.platform < b.platform ? -1 : 1)),
});
