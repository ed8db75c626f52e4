import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type DevelopmentChain, startDevelopmentChain } from '../../devnet/chain/development-chain.ts';
import { Child } from '../../devnet/child-process.ts';
import { freePort } from '../../devnet/free-port.ts';
import { developmentMeasurements } from '../../mock-tdx/measurements.ts';
import { type MockTdx, startMockTdx } from '../../mock-tdx/server.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { measurementId } from '../../src/trust/measurement.ts';
import { trustHash } from '../../src/trust/trust-hash.ts';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { builtCli } from './built-cli.ts';
import { type Finished, runLatchkey } from './run-latchkey.ts';

/** Short waits, and patience for a loaded machine. */
const healing = {
  intervalMs: 500,
  retryMinMs: 200,
  retryMaxMs: 1_000,
  patienceMs: 30_000,
  peerDeadlineMs: 10_000,
  formerClientsDeadlineMs: 10_000,
  attestationIntervalMs: 5_000,
};

/** One node's folder, configuration and process. */
export class NodePlace {
  readonly home: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly rootFile: string;
  #child: Child | undefined;

  constructor(home: string, config: Readonly<Record<string, unknown>>, rootFile: string) {
    this.home = home;
    this.config = config;
    this.rootFile = rootFile;
    mkdirSync(home, { recursive: true });
    this.write('latchkey.yaml', config);
  }

  get configFile(): string {
    return join(this.home, 'latchkey.yaml');
  }

  get logFile(): string {
    return join(this.home, 'log.jsonl');
  }

  get socketPath(): string {
    return join(this.home, 'data', 'agent.sock');
  }

  /** Writes a second configuration file into the same folder, and returns its path. */
  write(name: string, config: unknown): string {
    const path = join(this.home, name);
    writeFileSync(path, stringify(config, { aliasDuplicateObjects: false }));
    return path;
  }

  /** Starts `serve`, with further options where given. */
  start(...options: readonly string[]): void {
    this.startUnder([], ...options);
  }

  /** As {@link start}, with flags of Node before the program. */
  startUnder(flags: readonly string[], ...options: readonly string[]): void {
    const args = ['serve', '--config', this.configFile, '--insecure-trust-root', this.rootFile];
    this.#child = new Child(builtCli, [...args, ...options], this.logFile, flags);
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child?.isRunning ?? false;
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.signal(name);
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#child?.end(signal);
  }

  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** Runs a command to its end. */
  run(...args: readonly string[]): Promise<Finished> {
    return runLatchkey(args);
  }
}

/** A chain, mock-tdx, and the places of nodes; node 1 is on platform 1, and so on. */
export interface PlacedNetwork<Places = readonly NodePlace[]> {
  readonly chain: DevelopmentChain;
  readonly mockTdx: MockTdx;
  readonly trust: Readonly<Record<string, unknown>>;
  readonly nodes: Places;
  close(): Promise<void>;
}

/** Two nodes that keep each other's key: the smallest network there is. */
export type TwoNodeNetwork = PlacedNetwork<readonly [NodePlace, NodePlace]>;

/** Starts chain and mock-tdx and writes both configurations; the nodes are the caller's to start. */
export async function twoNodeNetwork(
  folder: string,
  extra: Readonly<Record<string, unknown>> = {},
  extraTrust: Readonly<Record<string, unknown>> = {},
): Promise<TwoNodeNetwork> {
  const trust = { bootstrap: true, minimumThreshold: 1, ...extraTrust };
  const network = await placedNetwork(folder, 2, trust, extra);
  const [first, second] = network.nodes;
  if (first === undefined || second === undefined) throw new RangeError('two nodes were asked for');
  return { ...network, nodes: [first, second] };
}

/**
 * Starts chain and mock-tdx, and writes the configurations of `count` nodes.
 * @param extraTrust of the trust section, besides its chain.
 * @param extra of the configuration of node 1.
 */
export async function placedNetwork(
  folder: string,
  count: number,
  extraTrust: Readonly<Record<string, unknown>>,
  extra: Readonly<Record<string, unknown>> = {},
): Promise<PlacedNetwork> {
  const chain = await startDevelopmentChain({
    blockTimeMs: 500,
    finalityLag: 1,
    acceptedMeasurements: [measurementId(developmentMeasurements)],
  });
  const { genesisHash } = chain;
  const trust = {
    chain: { genesisHash, checkpoint: chain.checkpoint() },
    ...extraTrust,
  };
  const mrConfigId = trustHash(parseTrustSection(trust));
  const mockTdx = await startMockTdx({ measurements: { ...developmentMeasurements, mrConfigId } });
  const rootFile = join(folder, 'root.pem');
  writeFileSync(rootFile, mockTdx.rootPem);
  const place = async (platform: number) => {
    const port = await freePort();
    const config = {
      node: { dataFolder: './data' },
      listen: { host: '127.0.0.1', port },
      metrics: { host: '127.0.0.1', port: await freePort() },
      chain: {
        endpoints: [chain.url],
        developmentRegistration: { stash: encodeSs58(systemRandom(32)), endpoint: `127.0.0.1:${port}` },
      },
      quote: { source: 'development', url: mockTdx.url, platform },
      collateral: { endpoints: [mockTdx.url] },
      trust,
      healing,
      ...(platform === 1 ? extra : {}),
    };
    return new NodePlace(join(folder, `node-${platform}`), config, rootFile);
  };
  const nodes: NodePlace[] = [];
  for (let platform = 1; platform <= count; platform++) nodes.push(await place(platform));
  return {
    chain,
    mockTdx,
    trust,
    nodes,
    close: async () => {
      await Promise.all(nodes.map((node) => node.end('SIGTERM')));
      await mockTdx.close();
      await chain.close();
    },
  };
}
