import { equalBytes } from '../bytes/concat.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import type { FleetAuthority, FleetSigners } from '../trust/fleet-authority.ts';
import { malformed } from './canonical-json.ts';
import { delayedEntries } from './delayed-entries.ts';
import type { FleetBody } from './fleet-body.ts';
import type { Manifest } from './manifest.ts';
import { type VerifiedHeader, verifyHeader } from './verify-header.ts';

/** Why new trust stops: until a newer manifest is here, or until a higher serial ends a contradiction. */
export interface PendingHeader {
  /** The newest header, while its manifest is not here. */
  readonly awaited: VerifiedHeader | undefined;
  /** Another header of the newest serial. */
  readonly conflicting: VerifiedHeader | undefined;
  /** When new trust stopped, by the own clock. A later header does not move it. */
  readonly sinceMs: number;
}

/** All that a node knows of its fleet's manifests. A value: each step gives a new one. */
export interface FleetState {
  /** Hash of block 0, 32 bytes. */
  readonly network: Uint8Array;
  /** The authority of the trust section. */
  readonly authority: FleetAuthority;
  /** Accepted handovers, in their order; the last one says who signs now. */
  readonly handovers: readonly Manifest[];
  /** The newest complete manifest with rules; `undefined` before the first. */
  readonly newest: Manifest | undefined;
  readonly pending: PendingHeader | undefined;
  /** When this node first saw each entry that takes effect after a delay, by the own clock; by name of the entry. */
  readonly firstSeen: ReadonlyMap<string, number>;
}

/** The state of a node that has seen no manifest. @param network hash of block 0, 32 bytes. */
export const noManifestYet = (authority: FleetAuthority, network: Uint8Array): FleetState => ({
  network,
  authority,
  handovers: [],
  newest: undefined,
  pending: undefined,
  firstSeen: new Map(),
});

/** Who may sign the next manifest, and the least serial that it may have. */
export function signersNow({ authority, handovers }: FleetState): {
  readonly signers: FleetSigners;
  readonly minimumSerial: number;
} {
  const last = handovers.at(-1);
  const successor = last === undefined ? undefined : successorOf(last.body);
  if (successor !== undefined) return { signers: successor, minimumSerial: 1 };
  return { signers: authority, minimumSerial: authority.minimumSerial };
}

/** What a header is to a node that knows others. */
export type HeaderFinding = 'known' | 'newer' | 'conflict';

/**
 * Verifies a header that somebody showed, and notes it. A newer one stops new trust until its manifest is here; another
 * header of the newest serial stops it until a higher serial comes.
 * @throws what {@link verifyHeader} throws; RefusalError FLEET_SERIAL_OLDER, FLEET_PREDECESSOR_OTHER.
 */
export function noteHeader(
  state: FleetState,
  signed: Uint8Array,
  nowMs: number,
): { readonly state: FleetState; readonly header: VerifiedHeader; readonly finding: HeaderFinding } {
  const { signers, minimumSerial } = signersNow(state);
  const header = verifyHeader(signed, { network: state.network, signers, minimumSerial });
  requirePredecessor(state, header);
  const finding = compare(header, newestHeader(state));
  if (finding === 'known') return { state, header, finding };
  return { state: { ...state, pending: pendingOf(state, header, finding, nowMs) }, header, finding };
}

/** The newest header that was verified, with or without its manifest; `undefined` before the first. */
export const newestHeader = ({ pending, newest }: FleetState): VerifiedHeader | undefined =>
  pending?.awaited ?? newest?.header;

/** The first manifest of a successor names the handover: a manifest that was signed for another history is none. */
function requirePredecessor({ handovers }: FleetState, { header }: VerifiedHeader): void {
  const handover = handovers.at(-1);
  if (handover === undefined || header.serial > 1 || equalBytes(header.previous, handover.header.hash))
    return;
  throw new RefusalError('FLEET_PREDECESSOR_OTHER', 'the manifest does not follow the handover', {
    field: 'previous',
    expected: toPrefixedHex(handover.header.hash),
    observed: toPrefixedHex(header.previous),
  });
}

function compare(header: VerifiedHeader, newest: VerifiedHeader | undefined): HeaderFinding {
  const isOfAnother = newest === undefined || !sameAuthority(header, newest);
  if (isOfAnother || header.header.serial > newest.header.serial) return 'newer';
  if (header.header.serial === newest.header.serial) return header.isSameAs(newest) ? 'known' : 'conflict';
  throw new RefusalError('FLEET_SERIAL_OLDER', 'a newer fleet manifest is known', {
    field: 'serial',
    expected: `at least ${newest.header.serial}`,
    observed: `${header.header.serial}`,
    hint: 'its source is behind; `GET /fleet` of this node gives the newest manifest that it knows',
  });
}

const sameAuthority = (a: VerifiedHeader, b: VerifiedHeader): boolean =>
  equalBytes(a.header.authorityId, b.header.authorityId);

function pendingOf(
  { pending }: FleetState,
  header: VerifiedHeader,
  finding: 'newer' | 'conflict',
  nowMs: number,
): PendingHeader {
  const sinceMs = pending?.sinceMs ?? nowMs;
  if (finding === 'newer') return { awaited: header, conflicting: undefined, sinceMs };
  // The first two headers are shown: a third one of the same serial adds nothing.
  return { awaited: pending?.awaited, conflicting: pending?.conflicting ?? header, sinceMs };
}

/**
 * Takes the manifest that is awaited; any other one changes nothing, and so does the awaited one during a conflict.
 * What stood in the manifest before keeps the time at which this node first saw it.
 * @throws EvidenceError FLEET_BODY_MALFORMED for a handover to an authority that signed before.
 */
export function takeManifest(state: FleetState, manifest: Manifest, nowMs: number): FleetState {
  const { pending } = state;
  if (pending?.awaited?.isSameAs(manifest.header) !== true || pending.conflicting !== undefined) return state;
  if (manifest.body.kind === 'handover') {
    requireNewAuthority(state, manifest.body.successor);
    return { ...state, handovers: [...state.handovers, manifest], pending: undefined };
  }
  const firstSeen = new Map(
    delayedEntries(manifest).map(({ name }) => [name, state.firstSeen.get(name) ?? nowMs] as const),
  );
  return { ...state, newest: manifest, pending: undefined, firstSeen };
}

/** Serials compare within one authority, so the manifests of one that returned would count as old. */
function requireNewAuthority({ authority, handovers }: FleetState, { id }: FleetSigners): void {
  const former = [authority.id, ...handovers.flatMap(({ body }) => successorOf(body)?.id ?? [])];
  if (!former.includes(id)) return;
  throw malformed('fleet body', 'successor.id', 'an id that no authority before had', id);
}

const successorOf = (body: FleetBody): FleetSigners | undefined =>
  body.kind === 'handover' ? body.successor : undefined;

/**
 * The state under another trust section, after an upgrade. What was in force stays until the authority of the new
 * section has a manifest of its own.
 */
export function underSection(state: FleetState, authority: FleetAuthority): FleetState {
  if (state.authority.id === authority.id) return { ...state, authority };
  const position = state.handovers.findIndex(({ body }) => successorOf(body)?.id === authority.id);
  // Headers that the former authority announced can no longer be verified to the end.
  const pending = position === state.handovers.length - 1 && position >= 0 ? state.pending : undefined;
  return { ...state, authority, handovers: position < 0 ? [] : state.handovers.slice(position + 1), pending };
}
