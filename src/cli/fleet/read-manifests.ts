import {
  type FleetState,
  noManifestYet,
  noteHeader,
  settled,
  takeManifest,
} from '../../fleet/fleet-state.ts';
import type { FleetTime } from '../../fleet/fleet-time.ts';
import { type Manifest, readManifest } from '../../fleet/manifest.ts';
import { decodeSignedHeader, type SignedHeader } from '../../fleet/signed-header.ts';
import { readManifestAt } from './read-manifest.ts';
import type { FleetPlace } from './session.ts';

/**
 * Takes manifest files one after the other, as a node would.
 * @param time a handover takes effect when its delay is over by then, counted from its date.
 * @param onManifest is shown each of them once its signatures are verified.
 * @throws ProblemError STORE_FILE_UNREADABLE, and what a node refuses a manifest with.
 */
export async function readManifests(
  { network, authority }: FleetPlace,
  paths: readonly string[],
  time: FleetTime,
  onManifest: (header: SignedHeader, manifest: Manifest) => void = () => undefined,
): Promise<FleetState> {
  let state = noManifestYet(authority, network);
  for (const path of paths) {
    const { signed, ...parts } = await readManifestAt(path);
    const noted = noteHeader(state, signed, time.nowMs);
    const manifest = readManifest(noted.header, parts);
    onManifest(decodeSignedHeader(signed), manifest);
    state = settled(takeManifest(noted.state, manifest, time.nowMs), time, 'issue');
  }
  return state;
}
