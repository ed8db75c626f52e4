import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevelopmentNetwork, startNetwork } from './network.ts';
import { tellStory } from './story.ts';
import { Timeline } from './timeline.ts';

const NODES = 7;

const usage = `npm start [-- --once] [--json] [--keep]

Runs a development network on this machine: a chain, mock-tdx and ${NODES} nodes, and shows what they do when some die.
  --once     end after the demonstration: exit 0 when every step held, 1 otherwise
  --network  only the network, without the demonstration
  --json     print JSON lines
  --keep     keep the folder with configurations, stores and logs`;

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    console.log(usage);
    return;
  }
  const timeline = new Timeline(args.includes('--json'));
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-devnet-'));
  let network: DevelopmentNetwork | undefined;
  const stop = async (): Promise<void> => {
    await network?.close();
    network = undefined;
    if (!args.includes('--keep')) rmSync(folder, { recursive: true, force: true });
  };
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve('interrupted'));
  });
  try {
    const story = async (): Promise<void> => {
      network = await timeline.step(`start a chain, mock-tdx and ${NODES} nodes (${folder})`, () =>
        startNetwork(folder, NODES),
      );
      if (!args.includes('--network')) await tellStory(network, timeline);
      if (!args.includes('--once')) showAround(network, timeline);
    };
    const ended = await Promise.race([story(), interrupted]);
    if (ended !== 'interrupted' && !args.includes('--once')) await interrupted;
  } catch (error) {
    process.exitCode = 1;
    timeline.say(`\nnot every step held; logs are in ${folder}/node-*/log.jsonl with --keep`);
    if (timeline.failures === 0) console.error(error);
  } finally {
    await stop();
  }
}

/** Says where everything is, for people and programs that go on with the network. */
function showAround(network: DevelopmentNetwork, timeline: Timeline): void {
  const { chain, mockTdx, nodes, spareConfigFile, rootFile } = network;
  const [first] = nodes;
  timeline.emit({
    chain: chain.url,
    mockTdx: mockTdx.url,
    root: rootFile,
    configs: nodes.map(({ configFile }) => configFile),
    spareConfig: spareConfigFile,
  });
  timeline.say(`
The network: chain ${chain.url}, mock-tdx ${mockTdx.url}, nodes ${first?.url} and so on.
  npx latchkey status --config ${first?.configFile} --explain
  npx latchkey serve --config ${spareConfigFile} --insecure-trust-root ${rootFile}    # one more node, yours
Ctrl-C stops it; docs/development.md goes on from here.`);
}

await main(process.argv.slice(2));
process.exit();
