import type { FleetAuthority, FleetSigners } from '../trust/fleet-authority.ts';
import { malformed } from './canonical-json.ts';
import type { FleetBody } from './fleet-body.ts';
import type { DelayFrom, FleetTime } from './fleet-time.ts';
import type { Manifest } from './manifest.ts';

/** A handover that was shown and is not in effect. */
export interface OfferedHandover {
  readonly manifest: Manifest;
  /** When this node first saw it, by its own clock and never before the newest block. */
  readonly seenMs: number;
  /** Another handover of the same authority: where there are two, none takes effect. */
  readonly conflicting: Manifest | undefined;
}

/** Who signs, and who follows. */
export interface Succession {
  /** The authority of the trust section. */
  readonly authority: FleetAuthority;
  /** Handovers in effect, in their order; the last one says who signs now. */
  readonly handovers: readonly Manifest[];
  /** A handover of the authority that signs now, until it takes effect. */
  readonly offered: OfferedHandover | undefined;
}

/** The authority that a body hands over to; `undefined` for rules. */
export const successorOf = (body: FleetBody): FleetSigners | undefined =>
  body.kind === 'handover' ? body.successor : undefined;

/** Who may sign the next manifest, and the least serial that it may have. */
export function signersNow({ authority, handovers }: Pick<Succession, 'authority' | 'handovers'>): {
  readonly signers: FleetSigners;
  readonly minimumSerial: number;
} {
  const last = handovers.at(-1);
  const successor = last === undefined ? undefined : successorOf(last.body);
  if (successor !== undefined) return { signers: successor, minimumSerial: 1 };
  return { signers: authority, minimumSerial: authority.minimumSerial };
}

/**
 * Notes a handover that was shown. A second one of the same authority stops both: so the holders of stolen keys can be
 * stopped during the delay, by any threshold of the same keys.
 * @throws EvidenceError FLEET_BODY_MALFORMED for a handover to an authority that signed before.
 */
export function offerHandover<State extends Succession>(
  state: State,
  manifest: Manifest,
  nowMs: number,
): State {
  const successor = successorOf(manifest.body);
  if (successor === undefined) throw new TypeError('not a handover');
  requireNewAuthority(state, successor);
  const { offered } = state;
  if (offered === undefined)
    return { ...state, offered: { manifest, seenMs: nowMs, conflicting: undefined } };
  // The first two are shown: a third one adds nothing.
  if (offered.conflicting !== undefined || offered.manifest.header.isSameAs(manifest.header)) return state;
  return { ...state, offered: { ...offered, conflicting: manifest } };
}

/** The state with the handover in effect, where its delay is over and no other one contradicts it. */
export function afterDelay<State extends Succession>(state: State, time: FleetTime, from: DelayFrom): State {
  const { offered, authority, handovers } = state;
  if (offered === undefined || offered.conflicting !== undefined) return state;
  const { manifest, seenMs } = offered;
  const startMs = from === 'issue' ? manifest.header.header.issuedAtMs : seenMs;
  // The time of the chain: the host could set the own clock forward.
  if (startMs + authority.delayMs > time.chainMs) return state;
  return { ...state, handovers: [...handovers, manifest], offered: undefined };
}

/** Serials compare within one authority, so the manifests of one that returned would count as old. */
function requireNewAuthority({ authority, handovers }: Succession, { id }: FleetSigners): void {
  const former = [authority.id, ...handovers.flatMap(({ body }) => successorOf(body)?.id ?? [])];
  if (!former.includes(id)) return;
  throw malformed('fleet body', 'successor.id', 'an id that no authority before had', id);
}
