#!/usr/bin/env node
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeCustodians, showBlackout } from './blackout.ts';
import { showFleetMoves } from './fleet-moves.ts';
import { type DevelopmentNetwork, startNetwork } from './network.ts';
import { showSecret } from './ring-secret.ts';
import { measureSlowness } from './slowness.ts';
import { formNetwork, tellStory } from './story.ts';
import { Timeline } from './timeline.ts';
import { type SecretUpstream, startSecretUpstream } from './upstream-of-secrets.ts';

const NODES = 7;
const cli = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

const usage = `npm start [-- --once] [--json] [--keep], or npx latchkey-devnet [--once] [--json] [--keep]

Runs a development network on this machine: a chain, mock-tdx and ${NODES} nodes, and shows what they do when some die.
  --once               end after the demonstration: exit 0 when every step held, 1 otherwise
  --blackout           kill all nodes at once instead, and get every store back through custodians
  --ring               leave a secret with the ring instead, and kill the nodes that hold it
  --moves <n>          change the trust section of the whole fleet n times instead, at most 3
  --network            only the network, without the demonstration
  --json               print JSON lines; one with \`ready\` says where everything is
  --keep               keep the folder with configurations, stores and logs; it stays after a failure anyway
  --block-time-ms <n>  between two blocks of the chain (default 500)
  --default-times      heal at the intervals of production, with --network`;

const options = {
  help: { type: 'boolean', default: false },
  once: { type: 'boolean', default: false },
  blackout: { type: 'boolean', default: false },
  ring: { type: 'boolean', default: false },
  moves: { type: 'string', default: '0' },
  network: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
  'block-time-ms': { type: 'string', default: '500' },
  'default-times': { type: 'boolean', default: false },
} as const;

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options });
  const blockTimeMs = Number(values['block-time-ms']);
  if (!Number.isSafeInteger(blockTimeMs) || blockTimeMs < 1)
    throw new RangeError('--block-time-ms must be a whole number from 1');
  const moves = Number(values.moves);
  if (!Number.isSafeInteger(moves) || moves < 0 || moves > 3)
    throw new RangeError('--moves must be a whole number up to 3');
  if (values.help) {
    console.log(usage);
    return;
  }
  const timeline = new Timeline(values.json);
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-devnet-'));
  let network: DevelopmentNetwork | undefined;
  let upstream: SecretUpstream | undefined;
  let isFolderKept = values.keep;
  const interrupted = new Promise<'interrupted'>((resolve) => {
    // A closed terminal too: the nodes themselves survive SIGHUP, and must not be left behind.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(signal, () => resolve('interrupted'));
  });
  try {
    const story = async (): Promise<void> => {
      const slowness = await measureSlowness();
      const custodians = values.blackout ? await makeCustodians(folder) : undefined;
      if (values.ring) upstream = await startSecretUpstream();
      const started = await timeline.step(`start a chain, mock-tdx and ${NODES} nodes (${folder})`, () =>
        startNetwork(folder, {
          nodes: NODES,
          blockTimeMs,
          slowness,
          hasDefaultTimes: values['default-times'],
          ...(upstream === undefined ? {} : { relayAuthority: upstream.cert }),
          ...(custodians === undefined
            ? {}
            : { custodians: custodians.map(({ name, key }) => ({ name, key })) }),
        }),
      );
      network = started;
      await formNetwork(started, timeline);
      emitReady(started, timeline);
      if (custodians !== undefined) await showBlackout(started, custodians, timeline);
      else if (upstream !== undefined) await showSecret(started, upstream, timeline);
      else if (moves > 0) await showFleetMoves(started, moves, timeline);
      else if (!values.network) await tellStory(started, timeline);
      if (!values.once) sayWhereItIs(started, timeline);
    };
    const ended = await Promise.race([story(), interrupted]);
    if (ended !== 'interrupted' && !values.once) await interrupted;
  } catch (error) {
    process.exitCode = 1;
    isFolderKept = true;
    timeline.emit({ ok: false, logs: folder });
    timeline.say(
      `\nnot every step held; configurations, stores and logs stay in ${folder} (node-*/log.jsonl)`,
    );
    if (timeline.failures === 0) console.error(error);
  } finally {
    await network?.close();
    await upstream?.[Symbol.asyncDispose]();
    if (!isFolderKept) rmSync(folder, { recursive: true, force: true });
  }
}

/** Says where everything is, for programs that use the network: one line, in every mode. */
function emitReady(network: DevelopmentNetwork, timeline: Timeline): void {
  const { chain, mockTdx, nodes, spareConfigFile, rootFile } = network;
  timeline.emit({
    ready: true,
    servers: nodes.map(({ accountId, url, x25519PublicKey }) => ({
      accountId,
      endpoint: url,
      x25519PublicKey,
    })),
    quoteProvider: mockTdx.url,
    chain: chain.url,
    root: rootFile,
    configs: nodes.map(({ configFile }) => configFile),
    spareConfig: spareConfigFile,
  });
}

/** Prints the addresses and files, for people who use the network afterwards. */
function sayWhereItIs(
  { chain, mockTdx, nodes, spareConfigFile, rootFile }: DevelopmentNetwork,
  timeline: Timeline,
): void {
  const [first] = nodes;
  timeline.say(`
The network: chain ${chain.url}, mock-tdx ${mockTdx.url}, nodes ${first?.url} and so on.
  npx latchkey status --config ${first?.configFile} --explain
  node ${relative(process.cwd(), cli)} serve --config ${spareConfigFile} --insecure-trust-root ${rootFile}    # one more node, yours
Ctrl-C stops it; docs/development.md goes on from here.`);
}

await main(process.argv.slice(2));
process.exit();
