import type { Command } from 'commander';
import { describeInForce } from '../../fleet/describe.ts';
import { judgeFirstManifest } from '../../fleet/first-manifest.ts';
import {
  type FleetState,
  noManifestYet,
  noteHeader,
  settled,
  takeManifest,
} from '../../fleet/fleet-state.ts';
import { inForce } from '../../fleet/in-force.ts';
import { readManifest } from '../../fleet/manifest.ts';
import { decodeSignedHeader } from '../../fleet/signed-header.ts';
import { addConfigOption, type ConfigOptions } from '../shared/config-options.ts';
import { printManifest } from './papers.ts';
import { readFleetPlace, readManifestAt } from './session.ts';

/** `latchkey fleet verify`: what a node of a configuration would make of manifests. */
export function addVerify(parent: Command): void {
  addConfigOption(
    parent.command('verify <files...>'),
    'configuration whose trust section names the authority',
  )
    .description('take manifests one after the other, as a node would; exit 0 when it would take them all')
    .action(verify);
}

async function verify(paths: readonly string[], { config }: ConfigOptions): Promise<void> {
  const { network, authority } = await readFleetPlace(config);
  const nowMs = Date.now();
  let state = noManifestYet(authority, network);
  for (const path of paths) state = await takeFile(state, path, nowMs);
  if (state.newest !== undefined) judgeFirstManifest(state.newest.header, nowMs);
  console.log('good: the authority signed it');
  // A new node takes the clock of the chain; here it is this machine's.
  const time = { nowMs, chainMs: nowMs };
  for (const line of describeInForce(inForce(state, time, 'issue'))) console.log(line);
}

async function takeFile(state: FleetState, path: string, nowMs: number): Promise<FleetState> {
  const { signed, ...parts } = await readManifestAt(path);
  const noted = noteHeader(state, signed, nowMs);
  const manifest = readManifest(noted.header, parts);
  printManifest(decodeSignedHeader(signed), manifest);
  // As if the delay of a handover were over: the next file may be the first one of the successor.
  const afterDelay = { nowMs, chainMs: Number.POSITIVE_INFINITY };
  return settled(takeManifest(noted.state, manifest, nowMs), afterDelay, 'issue');
}
