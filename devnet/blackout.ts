import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { developmentMeasurements } from '../mock-tdx/measurements.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { measurementId } from '../src/trust/measurement.ts';
import type { DevelopmentNode } from './development-node.ts';
import type { DevelopmentNetwork } from './network.ts';
import { allBacked, readRecords, writeRecords } from './story.ts';
import type { Timeline } from './timeline.ts';

const cli = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const run = promisify(execFile);

/** A custodian of the development network: a folder with a key file and its passphrase. */
export interface DevelopmentCustodian {
  readonly name: string;
  readonly key: string;
  readonly folder: string;
}

const latchkey = async (...args: readonly string[]): Promise<string> =>
  (await run(process.execPath, [cli, 'custody', ...args])).stdout;

/** Makes three custodians with `latchkey custody keygen`. */
export async function makeCustodians(folder: string): Promise<readonly DevelopmentCustodian[]> {
  return await Promise.all(
    ['alice', 'bob', 'carol'].map(async (name) => {
      const home = join(folder, `custodian-${name}`);
      mkdirSync(home, { recursive: true });
      writeFileSync(join(home, 'passphrase'), `the passphrase of ${name}\n`, { mode: 0o600 });
      const printed = await latchkey(
        'keygen',
        '--out',
        join(home, 'key'),
        '--password-file',
        join(home, 'passphrase'),
      );
      const [, key = ''] = /key: "(0x[0-9a-f]+)"/.exec(printed) ?? [];
      return { name, key, folder: home };
    }),
  );
}

/** All nodes are killed at once, so that no key is left anywhere, and every store comes back by two of three custodians. */
export async function showBlackout(
  network: DevelopmentNetwork,
  custodians: readonly DevelopmentCustodian[],
  timeline: Timeline,
): Promise<void> {
  const { nodes } = network;
  timeline.chapter('A total blackout');
  await timeline.step('every node writes records', () => Promise.all(nodes.map(writeRecords)));
  await timeline.step('kill all nodes: no process has a key any more', () =>
    Promise.all(nodes.map((node) => node.end('SIGKILL'))),
  );
  await timeline.step('all start again, and every store stays locked', async () => {
    for (const node of nodes) node.start();
    await Promise.all(nodes.map((node) => node.until('locked', ({ state }) => state === 'locked')));
  });
  timeline.chapter('Two of three custodians answer every node');
  for (const node of nodes) {
    await timeline.step(
      `${node.name} asks, and opens with two answers`,
      () => openByTwo(network, node, custodians),
      (text) => text.trim(),
    );
  }
  await timeline.step('all stores are backed again', () => allBacked(nodes));
  await timeline.step('every record is there', () => Promise.all(nodes.map(readRecords)));
}

async function openByTwo(
  { rootFile, mockTdx }: DevelopmentNetwork,
  node: DevelopmentNode,
  custodians: readonly DevelopmentCustodian[],
): Promise<string> {
  const request = join(node.home, 'request.txt');
  await latchkey('request', '--config', node.configFile, '--out', request);
  const answers = await Promise.all(
    custodians.slice(node.number % 2, (node.number % 2) + 2).map(async ({ name, folder }) => {
      const answer = join(node.home, `answer-${name}.txt`);
      const own = ['--key', join(folder, 'key'), '--password-file', join(folder, 'passphrase')];
      const known = ['--measurement', toPrefixedHex(measurementId(developmentMeasurements))];
      const outside = ['--insecure-trust-root', rootFile, '--pccs', mockTdx.url];
      const asked = ['--config', node.configFile, '--request', request, '--confirm', node.accountId];
      await latchkey('answer', ...asked, ...own, ...known, ...outside, '--out', answer);
      return answer;
    }),
  );
  return await latchkey('open', '--config', node.configFile, ...answers);
}
