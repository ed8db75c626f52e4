import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { developmentMeasurements } from '../mock-tdx/measurements.ts';
import { type MockTdx, startMockTdx } from '../mock-tdx/server.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { trustHash } from '../src/trust/trust-hash.ts';
import { parseTrustSection } from '../src/trust/trust-section.ts';
import { isFullyBacked } from './development-node.ts';
import { latchkey } from './fleet.ts';
import type { DevelopmentNetwork } from './network.ts';
import { GIVE_UP_AFTER_MS } from './slowness.ts';
import { allBacked, readRecords, writeRecords } from './story.ts';
import type { Timeline } from './timeline.ts';

const HOUR_MS = 3_600_000;

/** A trust section, and the machines that are started with it. */
interface Section {
  /** Configuration with the section and the machines, for one node. */
  readonly configOf: (config: Record<string, unknown>) => Record<string, unknown>;
  readonly hash: string;
  readonly mockTdx: MockTdx | undefined;
}

/** The whole fleet goes from one trust section to the next, several times; at the end the first one is refused. */
export async function showFleetMoves(
  network: DevelopmentNetwork,
  moves: number,
  timeline: Timeline,
): Promise<void> {
  const { nodes } = network;
  timeline.chapter('A fleet changes its trust section');
  await timeline.step('every node writes records', () => Promise.all(nodes.map(writeRecords)));
  const first = sectionOf(network, 0);
  const opened: MockTdx[] = [];
  try {
    let present = await first;
    for (let number = 1; number <= moves; number++) {
      const next = await sectionOf(network, number);
      if (next.mockTdx !== undefined) opened.push(next.mockTdx);
      await moveFleet(network, present, next, number, timeline);
      present = next;
    }
    await refuseOld(network, await first, present, timeline);
  } finally {
    for (const mockTdx of opened) await mockTdx.close();
  }
}

async function moveFleet(
  network: DevelopmentNetwork,
  from: Section,
  to: Section,
  number: number,
  timeline: Timeline,
): Promise<void> {
  const { nodes, fleet } = network;
  const [publisher] = nodes;
  if (publisher === undefined) throw new RangeError('a network has nodes');
  timeline.chapter(`Move ${number}`);
  const config = writeConfig(network, `section-${number}.yaml`, to);
  await timeline.step(
    'preflight: nobody would accept the next section',
    () => preflight(config, 1),
    (text) => text,
  );
  await timeline.step('a manifest that allows it is published at one node', () =>
    fleet.publish(publisher, { trustHashes: [{ hash: from.hash }, { hash: to.hash }] }),
  );
  await timeline.step(
    'preflight: all would',
    () => preflight(config, 0),
    (text) => text,
  );
  for (const node of nodes) {
    const account = node.accountId;
    await timeline.step(
      `${node.name} restarts under the next section, with its account and records`,
      async () => {
        await node.end('SIGTERM');
        rewrite(node.configFile, to);
        node.start();
        const status = await node.until('ready', (now) => now.ready && isFullyBacked(now));
        if (status.accountId !== account) throw new Error(`it came back as ${status.accountId}`);
        await readRecords(node);
      },
    );
  }
  await timeline.step('all stores are backed', () => allBacked(nodes));
}

/** The manifest of the last section alone: machines under the first one get nothing any more. */
async function refuseOld(
  network: DevelopmentNetwork,
  first: Section,
  last: Section,
  timeline: Timeline,
): Promise<void> {
  const { nodes, fleet } = network;
  const [publisher] = nodes;
  if (publisher === undefined) throw new RangeError('a network has nodes');
  timeline.chapter('The last section refuses the first');
  const config = writeConfig(network, 'section-0.yaml', first);
  await timeline.step(
    'preflight: nobody would accept the first section any more',
    async () => {
      await fleet.publish(publisher, { trustHashes: [{ hash: last.hash }] });
      return preflight(config, 1);
    },
    (text) => text,
  );
  await timeline.step('every node restarts once more, and has its records', async () => {
    for (const node of nodes) {
      await node.end('SIGTERM');
      node.start();
      await node.until('ready', (now) => now.ready && isFullyBacked(now));
      await readRecords(node);
    }
  });
}

/** Asks until all servers say the same: a manifest takes a moment to reach them, and its permissions have a delay. */
async function preflight(configFile: string, wanted: 0 | 1): Promise<string> {
  const end = Date.now() + GIVE_UP_AFTER_MS;
  for (;;) {
    const { code, text } = await latchkey('trust', 'preflight', '--config', configFile);
    const [line = ''] = text.split('\n');
    if (code === wanted && (wanted === 0 || line.startsWith('0 of '))) return line;
    if (Date.now() > end) throw new Error(text);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** The section number 0 is that of the network; each other one differs in a time that changes nothing here. */
async function sectionOf({ trust, mockTdx, seed }: DevelopmentNetwork, number: number): Promise<Section> {
  const section =
    number === 0 ? trust : { ...trust, freshness: { tcbGraceMs: 24 * HOUR_MS + number * HOUR_MS } };
  const mrConfigId = trustHash(parseTrustSection(section));
  const own =
    number === 0
      ? undefined
      : await startMockTdx({ seed, measurements: { ...developmentMeasurements, mrConfigId } });
  const { url } = own ?? mockTdx;
  return {
    hash: toPrefixedHex(mrConfigId),
    mockTdx: own,
    configOf: (config) => ({
      ...config,
      trust: section,
      quote: { ...(typeof config['quote'] === 'object' ? config['quote'] : {}), url },
    }),
  };
}

function rewrite(configFile: string, section: Section, to = configFile): void {
  const config: Record<string, unknown> = parse(readFileSync(configFile, 'utf8'));
  writeFileSync(to, stringify(section.configOf(config), { aliasDuplicateObjects: false }));
}

/** Writes the configuration of a machine that is not started. */
function writeConfig({ spareConfigFile }: DevelopmentNetwork, name: string, section: Section): string {
  const path = join(spareConfigFile, '..', name);
  rewrite(spareConfigFile, section, path);
  return path;
}
