import { toPrefixedHex } from '../bytes/hex.ts';
import { endorsementName } from '../fleet/delayed-entries.ts';
import { endingSoon, type TimedEntry } from '../fleet/ends-soon.ts';
import type { FleetKeeper } from '../fleet/fleet-keeper.ts';
import { newestHeader } from '../fleet/fleet-state.ts';
import type { FleetTime } from '../fleet/fleet-time.ts';
import { waiting } from '../fleet/in-force.ts';
import { successorOf } from '../fleet/succession.ts';
import type { VerifiedHeader } from '../fleet/verify-header.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { RekeyReport } from './fleet-rekey.ts';

/** Most permissions of each list: a manifest may have 10,000. */
const MOST_SHOWN = 16;

/** A manifest for JSON. */
interface ShownManifest {
  readonly serial: number;
  /** `0x` hex of 32 bytes. */
  readonly hash: string;
}

/** A permission, and when it begins or ends: ISO 8601. */
interface ShownEntry {
  readonly entry: string;
  readonly at: string;
}

/** What a node knows of its fleet's manifests, for status, readiness and metrics. */
export interface FleetReport {
  /** Id of the authority that signs now. */
  readonly authority: string;
  /** The newest accepted manifest; absent before the first. */
  readonly manifest?: ShownManifest;
  /** A newer manifest that is signed; no source has given its content yet. */
  readonly awaited?: ShownManifest;
  /** Two manifests of one serial are signed: the hashes of both. */
  readonly conflict?: { readonly serial: number; readonly hashes: readonly string[] };
  /** A handover to another authority that waits for its delay; where two are signed, none takes effect. */
  readonly handover?: {
    readonly to: string;
    readonly hash: string;
    /** ISO 8601, or `never`. */
    readonly takesEffect: string;
  };
  /** Permissions that take effect later, by the time of the chain. */
  readonly waiting?: readonly ShownEntry[];
  /** Permissions that end within 14 days. */
  readonly ending?: readonly ShownEntry[];
  /** How many permissions wait or end in addition to those that are listed. */
  readonly notListed?: number;
  /** The request for a new store key. */
  readonly rekey?: RekeyReport;
  /** How many servers show an older manifest. */
  readonly serversBehind?: number;
}

/**
 * The report of a node.
 * @param facts `own`: SHA-256(PPID) of this machine, `0x` hex; `behind`: servers that show an older manifest.
 */
export function fleetReport(
  keeper: FleetKeeper,
  time: FleetTime,
  { own, behind }: { readonly own: string | undefined; readonly behind: number },
): FleetReport {
  const { state, last } = keeper;
  const waits = inOrder(waiting(state, time), own);
  const ends = inOrder(endingSoon(state, time), own);
  const notListed = Math.max(0, waits.length - MOST_SHOWN) + Math.max(0, ends.length - MOST_SHOWN);
  return {
    authority: signersOf(keeper),
    ...(last === undefined ? {} : { manifest: shown(last.header) }),
    ...pendingOf(keeper),
    ...handoverOf(keeper),
    ...(waits.length === 0 ? {} : { waiting: waits.slice(0, MOST_SHOWN).map(shownEntry) }),
    ...(ends.length === 0 ? {} : { ending: ends.slice(0, MOST_SHOWN).map(shownEntry) }),
    ...(notListed === 0 ? {} : { notListed }),
    ...(behind === 0 ? {} : { serversBehind: behind }),
  };
}

const shown = ({ hash, header }: VerifiedHeader): ShownManifest => ({
  serial: header.serial,
  hash: toPrefixedHex(hash),
});

function signersOf({ state: { authority, handovers } }: FleetKeeper): string {
  const body = handovers.at(-1)?.body;
  return body?.kind === 'handover' ? body.successor.id : authority.id;
}

function handoverOf({ state: { offered, authority } }: FleetKeeper): Pick<FleetReport, 'handover'> {
  const successor = offered && successorOf(offered.manifest.body);
  if (offered === undefined || successor === undefined) return {};
  const atMs = offered.seenMs + authority.delayMs;
  const takesEffect = offered.conflicting === undefined ? timeText(atMs) : 'never';
  return { handover: { to: successor.id, hash: toPrefixedHex(offered.manifest.header.hash), takesEffect } };
}

function pendingOf({ state }: FleetKeeper): Pick<FleetReport, 'awaited' | 'conflict'> {
  const { pending } = state;
  const first = newestHeader(state);
  if (pending === undefined || first === undefined) return {};
  const { awaited, conflicting } = pending;
  return {
    ...(awaited === undefined ? {} : { awaited: shown(awaited) }),
    ...(conflicting === undefined
      ? {}
      : {
          conflict: {
            serial: first.header.serial,
            hashes: [first, conflicting].map(({ hash }) => toPrefixedHex(hash)),
          },
        }),
  };
}

/** The platform of this machine first, then what comes first, and long lists last: a list may have 10,000 platforms. */
function inOrder(entries: readonly TimedEntry[], own: string | undefined): readonly TimedEntry[] {
  const isOther = ({ name }: TimedEntry): number =>
    Number(own === undefined || name !== endorsementName(own));
  const isListed = ({ name }: TimedEntry): number => Number(name.startsWith(endorsementName('')));
  // Not by difference: what never begins has no finite time.
  return [...entries].sort(
    (a, b) =>
      isOther(a) - isOther(b) ||
      Number(a.atMs > b.atMs) - Number(a.atMs < b.atMs) ||
      isListed(a) - isListed(b),
  );
}

const shownEntry = ({ name, atMs }: TimedEntry): ShownEntry => ({ entry: name, at: timeText(atMs) });

const timeText = (atMs: number): string => (atMs <= 8.64e15 ? new Date(atMs).toISOString() : 'never');

/** Sets the metrics of the fleet. */
export function countFleet(metrics: Metrics, report: FleetReport | undefined): void {
  if (report === undefined) return;
  const { manifest, awaited, conflict, waiting = [], ending = [], serversBehind = 0, rekey } = report;
  metrics.fleetSerial.set(manifest?.serial ?? 0);
  metrics.fleetAwaited.set(awaited === undefined ? 0 : 1);
  metrics.fleetConflict.set(conflict === undefined ? 0 : 1);
  metrics.fleetWaiting.set(waiting.length);
  metrics.fleetServersBehind.set(serversBehind);
  metrics.fleetRekeyWaiting.set(rekey?.state === 'waiting' ? 1 : 0);
  metrics.fleetNextEnd.reset();
  const ends = ending.map(({ at }) => Date.parse(at));
  if (ends.length > 0) metrics.fleetNextEnd.set(Math.floor(Math.min(...ends) / 1000));
}

/** Sentences for `latchkey status --explain`. */
export function adviceOnFleet(report: FleetReport | undefined): readonly string[] {
  if (report === undefined) return [];
  const { awaited, conflict, ending, handover, rekey } = report;
  return [
    ...(awaited === undefined || conflict !== undefined ? [] : [awaitedAdvice(awaited)]),
    ...(conflict === undefined ? [] : [conflictAdvice(conflict)]),
    ...(ending === undefined ? [] : [endingAdvice(ending)]),
    ...(handover === undefined ? [] : [handoverAdvice(handover)]),
    ...(rekey?.state === 'waiting' ? [rekeyAdvice(rekey)] : []),
  ];
}

const awaitedAdvice = ({ serial, hash }: ShownManifest): string =>
  `Fleet manifest ${serial} (${hash}) is signed, but no source gives it: until it is here, no new permission takes effect. Run \`latchkey fleet publish\` with its file, or look at fleet.sources.`;

const conflictAdvice = ({ serial, hashes }: NonNullable<FleetReport['conflict']>): string =>
  `Two fleet manifests have the serial ${serial} (${hashes.join(' and ')}): no new permission takes effect. Only a manifest of a higher serial ends this; the keys of trust.authority have to sign it (\`latchkey fleet draft\`, \`latchkey fleet sign\`).`;

const handoverAdvice = ({ to, hash, takesEffect }: NonNullable<FleetReport['handover']>): string =>
  takesEffect === 'never'
    ? `Two handovers of the fleet authority are signed, so none takes effect. Change trust.authority by a new trust section.`
    : `A handover of the fleet authority to ${to} (${hash}) takes effect at ${takesEffect}. If you do not know it, the keys of trust.authority are stolen: sign another handover to stop it, and publish it (docs/fleet.md).`;

const endingAdvice = (ending: readonly ShownEntry[]): string =>
  `Permissions of the fleet manifest end soon (${ending.map(({ entry, at }) => `${entry} at ${at}`).join('; ')}): sign a manifest of a higher serial that prolongs them, if machines still need them.`;

const rekeyAdvice = ({ id, reason }: RekeyReport): string =>
  `The fleet asks for a new store key (${id}: ${reason}); this node changes it by itself within about an hour of being backed.`;
