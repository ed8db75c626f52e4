import { delayedEntries } from '../../fleet/delayed-entries.ts';
import { describeInForce } from '../../fleet/describe.ts';
import { judgeFirstManifest } from '../../fleet/first-manifest.ts';
import type { FleetState } from '../../fleet/fleet-state.ts';
import { inForce } from '../../fleet/in-force.ts';
import type { ConfigOptions } from '../shared/config-options.ts';
import { readManifests } from './read-manifests.ts';
import { readFleetPlace } from './session.ts';
import { printManifest } from './show.ts';

/** `latchkey fleet verify`: what a node of a configuration would make of manifests. */
export async function verify(paths: readonly string[], { config }: ConfigOptions): Promise<void> {
  const place = await readFleetPlace(config);
  const nowMs = Date.now();
  // As if the delay of a handover were over: the next file may be the first one of the successor.
  const afterDelay = { nowMs, chainMs: Number.POSITIVE_INFINITY };
  const state = await readManifests(place, paths, afterDelay, printManifest);
  if (state.newest !== undefined) judgeFirstManifest(state.newest.header, nowMs);
  console.log('good: the authority signed it');
  // A new node takes the clock of the chain; here it is this machine's.
  const time = { nowMs, chainMs: nowMs };
  for (const line of describeInForce(inForce(state, time, 'issue'))) console.log(line);
  for (const line of waitingLines(state, nowMs)) console.log(line);
}

/** What waits for its delay, counted from the dates of the authority, as a new node does. */
export function waitingLines({ newest, authority }: FleetState, nowMs: number): readonly string[] {
  if (newest === undefined) return [];
  return delayedEntries(newest)
    .map(({ name, sinceMs }) => ({ name, atMs: sinceMs + authority.delayMs }))
    .filter(({ atMs }) => atMs > nowMs)
    .map(({ name, atMs }) => `  waits until ${new Date(atMs).toISOString()}: ${name}`);
}
