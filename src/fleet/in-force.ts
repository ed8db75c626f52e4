import {
  type DelayedEntry,
  delayedEntries,
  endorsementName,
  measurementName,
  moveName,
  trustHashName,
} from './delayed-entries.ts';
import type { TimedEntry } from './ends-soon.ts';
import type { FleetRules } from './fleet-body.ts';
import type { FleetState } from './fleet-state.ts';
import type { DelayFrom, FleetTime } from './fleet-time.ts';
import type { ListedPlatform } from './platform-list.ts';

/** What the fleet's manifest permits and forbids at this moment, in addition to the trust section. */
export interface FleetInForce {
  /** `0x` hex of 48 bytes. */
  readonly trustHashes: readonly string[];
  /** `0x` hex of 32 bytes. */
  readonly measurements: readonly string[];
  /** 0: none. */
  readonly minimumTcbEvaluationDataNumber: number;
  /** Without those that are revoked. */
  readonly endorsed: readonly ListedPlatform[];
  /** `0x` hex of SHA-256(PPID). */
  readonly revoked: readonly string[];
  readonly moves: FleetRules['moves'];
  readonly rekey: FleetRules['rekey'];
}

/** Nothing in addition to the trust section. */
export const noPermissions = {
  trustHashes: [],
  measurements: [],
  endorsed: [],
  moves: [],
} satisfies Partial<FleetInForce>;

const nothing: FleetInForce = {
  ...noPermissions,
  minimumTcbEvaluationDataNumber: 0,
  revoked: [],
  rekey: undefined,
};

/** What is in force. Permissions wait for the delay, restrictions and revocations do not. */
export function inForce(state: FleetState, time: FleetTime, from: DelayFrom): FleetInForce {
  const { newest } = state;
  if (newest?.body.kind !== 'rules') return nothing;
  const { body } = newest;
  const active = new Set(activeEntries(state, time, from).map(({ name }) => name));
  const revoked = newest.revoked.platforms.filter(({ until }) => !hasPassed(until, time));
  const revokedNames = new Set(revoked.map(({ platform }) => platform));
  return {
    trustHashes: body.trustHashes.map(({ hash }) => hash).filter((hash) => active.has(trustHashName(hash))),
    measurements: body.measurements.map(({ id }) => id).filter((id) => active.has(measurementName(id))),
    minimumTcbEvaluationDataNumber: body.minimumTcbEvaluationDataNumber ?? 0,
    endorsed: newest.endorsed.platforms.filter(
      ({ platform }) => active.has(endorsementName(platform)) && !revokedNames.has(platform),
    ),
    revoked: [...revokedNames],
    moves: body.moves.filter((move) => active.has(moveName(move))),
    rekey: body.rekey,
  };
}

/** The entries of the newest manifest that are past their delay and have not ended. */
export function activeEntries(state: FleetState, time: FleetTime, from: DelayFrom): readonly DelayedEntry[] {
  const { newest } = state;
  return newest === undefined
    ? []
    : delayedEntries(newest).filter((entry) => isActive(entry, state, time, from));
}

/** What of the newest manifest waits for its delay, by the own sight; by when it takes effect. */
export function waiting(state: FleetState, { chainMs }: FleetTime): readonly TimedEntry[] {
  const { newest } = state;
  if (newest === undefined) return [];
  return delayedEntries(newest)
    .map((entry) => ({ name: entry.name, atMs: ownStartMs(entry.name, state) }))
    .filter(({ atMs }) => atMs > chainMs);
}

/** What two views permit together; what one of them revokes or requires counts. */
export function together(one: FleetInForce, other: FleetInForce): FleetInForce {
  const union = <Item>(a: readonly Item[], b: readonly Item[], nameOf: (item: Item) => string): Item[] => [
    ...new Map([...a, ...b].map((item) => [nameOf(item), item])).values(),
  ];
  const asText = (text: string): string => text;
  const revoked = union(one.revoked, other.revoked, asText);
  const revokedNames = new Set(revoked);
  return {
    trustHashes: union(one.trustHashes, other.trustHashes, asText),
    measurements: union(one.measurements, other.measurements, asText),
    minimumTcbEvaluationDataNumber: Math.max(
      one.minimumTcbEvaluationDataNumber,
      other.minimumTcbEvaluationDataNumber,
    ),
    endorsed: union(one.endorsed, other.endorsed, ({ platform }) => platform).filter(
      ({ platform }) => !revokedNames.has(platform),
    ),
    revoked,
    moves: union(one.moves, other.moves, moveName),
    rekey: one.rekey,
  };
}

function isActive(entry: DelayedEntry, state: FleetState, time: FleetTime, from: DelayFrom): boolean {
  if (hasPassed(entry.untilMs, time)) return false;
  const startMs = from === 'issue' ? entry.sinceMs + state.authority.delayMs : ownStartMs(entry.name, state);
  // Not the own clock, also where the own sight counts: the host could set it forward.
  if (startMs > time.chainMs) return false;
  return startMs <= newTrustUntilMs(state, from);
}

/** When an entry takes effect by the own sight; `Infinity` for one that this node has not seen. */
export const ownStartMs = (name: string, { firstSeen, authority }: FleetState): number =>
  (firstSeen.get(name) ?? Number.POSITIVE_INFINITY) + authority.delayMs;

/** What takes effect later than this does not take effect before a newer manifest is here. */
function newTrustUntilMs({ pending }: FleetState, from: DelayFrom): number {
  if (pending === undefined) return Number.POSITIVE_INFINITY;
  if (from === 'own-sight') return pending.sinceMs;
  const { awaited, conflicting } = pending;
  return Math.min(
    ...[awaited, conflicting].flatMap((shown) => (shown === undefined ? [] : shown.header.issuedAtMs)),
  );
}

/**
 * By the time of the chain only: while it is silent, what is in force stays, or the fleet would be locked out. What has
 * ended stays ended, however old the block is by now.
 */
const hasPassed = (untilMs: number | undefined, { chainMs }: FleetTime): boolean =>
  untilMs !== undefined && chainMs >= untilMs;
