import type { Manifest } from '../../src/fleet/manifest.ts';
import { writeManifestFile } from '../../src/fleet/manifest-file.ts';
import { FleetWatch, type FleetWatchParts } from '../../src/node/fleet-watch.ts';
import type { ManualClock } from './collateral-world.ts';
import { type AuthorityWorld, fixed, network } from './fleet-world.ts';

/** A network of texts by URL; what is not there is 404. */
export class Texts {
  readonly pages = new Map<string, () => string>();
  readonly asked: string[] = [];
  readonly fetch = async (url: string): Promise<Response> => {
    this.asked.push(url);
    const page = this.pages.get(url.split('?')[0] ?? '');
    return page === undefined ? new Response('', { status: 404 }) : new Response(page());
  };
}

/** The text of a manifest's file. */
export const textOf = ({ header, parts }: Manifest): string =>
  writeManifestFile({ signed: header.signed, ...parts });

/** Makes watches under an authority. */
export const watchOf =
  (world: AuthorityWorld) =>
  (texts: Texts, clock: ManualClock, changes: Partial<FleetWatchParts> = {}) => {
    const events: string[] = [];
    const endpoints: string[] = [];
    const watch = new FleetWatch({
      authority: world.authority,
      network,
      sources: ['http://source/manifest.json'],
      chain: {
        time: () => ({ chainMs: clock.nowMs() }),
        endpoints: () => endpoints,
        take: () => undefined,
      },
      clock,
      random: (length) => fixed('dice').subarray(0, length),
      log: (_level, event, fields) => void events.push(`${event} ${fields?.['code'] ?? ''}`.trim()),
      fetch: texts.fetch,
      ...changes,
    });
    return { watch, events, endpoints };
  };
