import { equalBytes } from '../bytes/concat.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { LatchkeyError, RefusalError } from '../errors/latchkey-error.ts';
import type { FleetAuthority } from '../trust/fleet-authority.ts';
import { delayedEntries } from './delayed-entries.ts';
import { LAST_SERIAL } from './fleet-header.ts';
import type { DelayFrom, FleetTime } from './fleet-time.ts';
import type { Manifest } from './manifest.ts';
import { afterDelay, offerHandover, type Succession, signersNow, successorOf } from './succession.ts';
import { type VerifiedHeader, verifyHeader } from './verify-header.ts';

/** Why new trust stops: until a newer manifest is here, or until a higher serial ends a contradiction. */
export interface PendingHeader {
  /** The newest header, while its manifest is not here. */
  readonly awaited: VerifiedHeader | undefined;
  /** Another header of the newest serial. */
  readonly conflicting: VerifiedHeader | undefined;
  /** When new trust stopped, by the time of the chain. A later header does not move it. */
  readonly sinceMs: number;
}

/** All that a node knows of its fleet's manifests. A value: each step gives a new one. */
export interface FleetState extends Succession {
  /** Hash of block 0, 32 bytes. */
  readonly network: Uint8Array;
  /** The newest complete manifest with rules; `undefined` before the first. */
  readonly newest: Manifest | undefined;
  readonly pending: PendingHeader | undefined;
  /** When this node first saw each entry that takes effect after a delay, by its own clock and never before the newest block; by name of the entry. */
  readonly firstSeen: ReadonlyMap<string, number>;
  /** Highest serial of each authority that a former trust section named, by id: it may come back. */
  readonly formerSerials: ReadonlyMap<string, number>;
}

/** The state of a node that has seen no manifest. @param network hash of block 0, 32 bytes. */
export const noManifestYet = (authority: FleetAuthority, network: Uint8Array): FleetState => ({
  network,
  authority,
  handovers: [],
  offered: undefined,
  newest: undefined,
  pending: undefined,
  firstSeen: new Map(),
  formerSerials: new Map(),
});

/**
 * How far the serial of a manifest may be above the newest one that is known, or above the minimum serial: 2^20. Who
 * steals a threshold of keys could otherwise sign the last serial that there is, and no manifest could follow it. To
 * use the serials up in such steps takes 2^33 manifests, one after the other at each node.
 */
export const MAX_SERIAL_STEP = 2 ** 20;

/**
 * What a header is to a node that knows others. `late`: newer than the newest manifest, and older than a header
 * without its manifest.
 */
export type HeaderFinding = 'known' | 'newer' | 'conflict' | 'handover' | 'late';

/**
 * Verifies a header that somebody showed, and notes it. A newer one stops new trust until its manifest is here; another
 * header of the newest serial stops it until a higher serial comes. A handover is noted only with its manifest: its
 * header stops nothing.
 * @param chainMs time of the chain.
 * @throws what {@link verifyHeader} throws; RefusalError FLEET_SERIAL_OLDER, FLEET_SERIAL_TOO_HIGH,
 *   FLEET_PREDECESSOR_OTHER.
 */
export function noteHeader(
  state: FleetState,
  signed: Uint8Array,
  chainMs: number,
): { readonly state: FleetState; readonly header: VerifiedHeader; readonly finding: HeaderFinding } {
  const { signers, minimumSerial } = signersNow(state);
  const header = verifyHeader(signed, { network: state.network, signers, minimumSerial });
  if (header.header.serial === LAST_SERIAL) {
    const isOffered = state.offered?.manifest.header.isSameAs(header) === true;
    return { state, header, finding: isOffered ? 'known' : 'handover' };
  }
  requirePredecessor(state, header);
  const newestSerial = newestSerialOf(state, header);
  requireStep(header, Math.max(newestSerial ?? 0, minimumSerial));
  const finding = isLate(state, header) ? 'late' : compare(header, newestHeader(state), newestSerial);
  // The first two headers of a serial are shown: the same again, or a third one, adds nothing.
  const isNews = finding === 'newer' || (finding === 'conflict' && state.pending?.conflicting === undefined);
  if (!isNews) return { state, header, finding };
  return { state: { ...state, pending: pendingOf(state, header, finding, chainMs) }, header, finding };
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

/** The newest serial that is known of the authority of a header; `undefined` when none is. */
function newestSerialOf(state: FleetState, header: VerifiedHeader): number | undefined {
  const newest = newestHeader(state);
  if (newest !== undefined && sameAuthority(header, newest)) return newest.header.serial;
  return state.formerSerials.get(toPrefixedHex(header.header.authorityId));
}

function requireStep({ header: { serial } }: VerifiedHeader, fromSerial: number): void {
  if (serial <= fromSerial + MAX_SERIAL_STEP) return;
  throw new RefusalError('FLEET_SERIAL_TOO_HIGH', 'the serial is too far above the newest one', {
    field: 'serial',
    expected: `at most ${fromSerial + MAX_SERIAL_STEP}, which is ${fromSerial} and 2^20`,
    observed: `${serial}`,
    hint: 'the keys of trust.authority have to sign it with a serial of one more than the newest manifest',
  });
}

function compare(
  header: VerifiedHeader,
  newest: VerifiedHeader | undefined,
  newestSerial: number | undefined,
): 'known' | 'newer' | 'conflict' {
  if (newestSerial === undefined || header.header.serial > newestSerial) return 'newer';
  if (newest !== undefined && sameAuthority(header, newest) && header.header.serial === newestSerial)
    return header.isSameAs(newest) ? 'known' : 'conflict';
  throw serialOlder(header, newestSerial);
}

/** The refusal of a header that is older than one that is known. */
export const serialOlder = ({ header }: VerifiedHeader, newestSerial: number | undefined): RefusalError =>
  new RefusalError('FLEET_SERIAL_OLDER', 'a newer fleet manifest is known', {
    field: 'serial',
    expected: `at least ${newestSerial}`,
    observed: `${header.serial}`,
    hint: 'its source is behind; `GET /fleet` of this node gives the newest manifest that it knows',
  });

/**
 * Whether a manifest counts although a newer header is known: while that one's manifest is missing, the newest one that is
 * here counts. A host decides in which order a header and a manifest reach a node, so the order must change nothing.
 */
function isLate({ pending, newest, formerSerials }: FleetState, header: VerifiedHeader): boolean {
  const awaited = pending?.awaited;
  if (awaited === undefined || !sameAuthority(header, awaited)) return false;
  const { serial } = header.header;
  const hereSerial =
    newest !== undefined && sameAuthority(header, newest.header)
      ? newest.serial
      : (formerSerials.get(toPrefixedHex(header.header.authorityId)) ?? 0);
  return serial > hereSerial && serial < awaited.header.serial;
}

const sameAuthority = (a: VerifiedHeader, b: VerifiedHeader): boolean =>
  equalBytes(a.header.authorityId, b.header.authorityId);

function pendingOf(
  { pending }: FleetState,
  header: VerifiedHeader,
  finding: 'newer' | 'conflict',
  chainMs: number,
): PendingHeader {
  const sinceMs = pending?.sinceMs ?? chainMs;
  if (finding === 'newer') return { awaited: header, conflicting: undefined, sinceMs };
  return { awaited: pending?.awaited, conflicting: header, sinceMs };
}

/**
 * Takes the manifest that is awaited, or a `late` one, which leaves the header awaited; any other one changes nothing, and so
 * does the awaited one during a conflict.
 * What stood in the manifest before keeps the time at which this node first saw it. A handover waits for its delay.
 * @param nowMs when this node sees it.
 * @throws EvidenceError FLEET_BODY_MALFORMED for a handover to an authority that signed before.
 */
export function takeManifest(state: FleetState, manifest: Manifest, nowMs: number): FleetState {
  if (manifest.body.kind === 'handover') return offerHandover(state, manifest, nowMs);
  const { pending } = state;
  const late = isLate(state, manifest.header);
  const isAwaited = pending?.awaited?.isSameAs(manifest.header) === true && pending.conflicting === undefined;
  if (!isAwaited && !late) return state;
  const firstSeen = new Map(
    delayedEntries(manifest).map(({ name }) => [name, state.firstSeen.get(name) ?? nowMs] as const),
  );
  return { ...state, newest: manifest, pending: late ? pending : undefined, firstSeen };
}

/** The state with the handover in effect when its delay is over by now. */
export function settled(state: FleetState, time: FleetTime, from: DelayFrom): FleetState {
  const after = afterDelay(state, time, from);
  // Headers that the former authority announced can no longer be verified to the end.
  return after === state ? state : { ...after, pending: undefined };
}

/**
 * The state under another trust section, after an upgrade. What was in force stays until the authority of the new
 * section has a manifest of its own. A fleet may come back to an authority: what that one signed before counts as old.
 */
export function underSection(state: FleetState, authority: FleetAuthority): FleetState {
  if (state.authority.id === authority.id) {
    const { offered, handovers } = state;
    // Keys that the section replaced take no handover into effect.
    const isKept = handovers.length > 0 || (offered && isSignedBy(offered.manifest.header, authority));
    return { ...state, authority, offered: isKept ? offered : undefined };
  }
  const position = state.handovers.findIndex(({ body }) => successorOf(body)?.id === authority.id);
  const isSuccessor = position >= 0;
  // Only the successor itself goes on with what its own keys announced.
  const signsNow = isSuccessor && position === state.handovers.length - 1;
  return {
    ...state,
    authority,
    handovers: isSuccessor ? state.handovers.slice(position + 1) : [],
    offered: isSuccessor ? state.offered : undefined,
    pending: signsNow ? state.pending : undefined,
    formerSerials: withSerial(state.formerSerials, newestHeader(state)),
  };
}

function isSignedBy({ header, signed }: VerifiedHeader, signers: FleetAuthority): boolean {
  try {
    verifyHeader(signed, { network: header.network, signers, minimumSerial: 1 });
    return true;
  } catch (error) {
    if (error instanceof LatchkeyError) return false;
    throw error;
  }
}

function withSerial(
  serials: FleetState['formerSerials'],
  newest: VerifiedHeader | undefined,
): FleetState['formerSerials'] {
  if (newest === undefined) return serials;
  const { authorityId, serial } = newest.header;
  const id = toPrefixedHex(authorityId);
  return new Map([...serials, [id, Math.max(serial, serials.get(id) ?? 0)]]);
}
