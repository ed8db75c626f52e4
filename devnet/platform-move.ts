import { readFileSync, writeFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { platformHash } from '../src/trust/platform-lists.ts';
import { type DevelopmentNode, isOpen, type NodeStatus } from './development-node.ts';
import type { DevelopmentNetwork } from './network.ts';
import { readRecords } from './story.ts';
import type { Timeline } from './timeline.ts';

/** A machine on which no node of the network runs. */
const OTHER_PLATFORM = 60;

const refusalsOf = ({ slots = [] }: NodeStatus): readonly string[] =>
  slots.flatMap(({ standing }) => (standing.includes('PLATFORM_REFUSED') ? [standing] : []));

/** The disk of a node goes to another machine: it gets no key there, until the fleet allows the move. */
export async function showPlatformMove(
  { fleet, mockTdx, nodes }: DevelopmentNetwork,
  node: DevelopmentNode,
  timeline: Timeline,
): Promise<void> {
  const publisher = nodes.find((other) => other !== node) ?? node;
  const from = runOn(node, OTHER_PLATFORM);
  await timeline.step(`kill ${node.name}, and start its disk on another machine`, async () => {
    await node.end('SIGKILL');
    node.start();
  });
  await timeline.step(
    'its servers refuse the platform, and say what would allow it',
    () =>
      node.until(
        'refused by its servers',
        (status) => status.state === 'locked' && refusalsOf(status).length >= 3,
      ),
    (status) => refusalsOf(status)[0] ?? '',
  );
  const nameOf = (platform: number): string =>
    toPrefixedHex(platformHash(mockTdx.pki.platform(platform).facts.ppid));
  const move = { account: node.accountId, from: nameOf(from), to: nameOf(OTHER_PLATFORM) };
  await timeline.step(
    `two of three keys of the fleet sign the move, and ${publisher.name} is given the manifest`,
    () => fleet.publish(publisher, { moves: [move] }),
    (text) => text,
  );
  await timeline.step(
    `${node.name} opens on the new machine, and has its records`,
    async () => {
      const status = await node.until('open', isOpen);
      await readRecords(node);
      return status;
    },
    ({ summary }) => summary,
  );
}

/** Lets a node get its quotes from another machine from its next start on. @returns the former one. */
function runOn({ configFile }: DevelopmentNode, platform: number): number {
  const config = parse(readFileSync(configFile, 'utf8'));
  const former = Number(config.quote.platform);
  config.quote.platform = platform;
  writeFileSync(configFile, stringify(config, { aliasDuplicateObjects: false }));
  return former;
}
