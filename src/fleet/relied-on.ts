import { equalBytes } from '../bytes/concat.ts';
import { delayedEntries } from './delayed-entries.ts';
import type { FleetState } from './fleet-state.ts';
import type { FleetTime } from './fleet-time.ts';
import { activeEntries } from './in-force.ts';
import type { Manifest } from './manifest.ts';

/**
 * What a locked node relies on, at the moment when its store opens: a state in which nothing else is permitted. The node
 * goes on asking the servers that it accepts, until a later manifest takes that back.
 */
export function reliedOnAt(state: FleetState, time: FleetTime): FleetState | undefined {
  const { newest } = state;
  if (newest === undefined) return undefined;
  const entries = activeEntries(state, time, 'issue');
  return { ...state, pending: undefined, firstSeen: new Map(entries.map((one) => [one.name, one.sinceMs])) };
}

/** What is still relied on after the node took a manifest. One of another authority says nothing about it. */
export function stillListed(relied: FleetState, manifest: Manifest): FleetState {
  const { newest } = relied;
  const { body, header } = manifest;
  if (body.kind === 'handover' || newest === undefined) return relied;
  if (!equalBytes(newest.header.header.authorityId, header.header.authorityId)) return relied;
  const listed = new Set(delayedEntries(manifest).map(({ name }) => name));
  return { ...relied, firstSeen: new Map([...relied.firstSeen].filter(([name]) => listed.has(name))) };
}
