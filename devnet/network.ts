import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { developmentMeasurements } from '../mock-tdx/measurements.ts';
import { type MockTdx, startMockTdx } from '../mock-tdx/server.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { encodeSs58 } from '../src/bytes/ss58.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { measurementId } from '../src/trust/measurement.ts';
import { trustHash } from '../src/trust/trust-hash.ts';
import { parseTrustSection } from '../src/trust/trust-section.ts';
import { type DevelopmentChain, startDevelopmentChain } from './chain/development-chain.ts';
import { DevelopmentNode } from './development-node.ts';
import { freePort } from './free-port.ts';

/** A whole network on this machine: chain, mock-tdx, and nodes in processes of their own. */
export interface DevelopmentNetwork {
  readonly chain: DevelopmentChain;
  readonly mockTdx: MockTdx;
  readonly nodes: readonly DevelopmentNode[];
  /** Ends every process that was started, and nothing else. */
  close(): Promise<void>;
}

/** Short times, so that a person can watch the network heal. */
const healing = {
  intervalMs: 1_000,
  retryMinMs: 300,
  retryMaxMs: 2_000,
  patienceMs: 6_000,
  peerDeadlineMs: 2_000,
  formerClientsDeadlineMs: 15_000,
  attestationIntervalMs: 5_000,
};
const unlimited = { burst: 100_000, perSecond: 100_000 };

/** Starts chain and mock-tdx, writes a configuration for every node, and starts the nodes; the last two can lie. */
export async function startNetwork(folder: string, count: number): Promise<DevelopmentNetwork> {
  const chain = await startDevelopmentChain({
    blockTimeMs: 500,
    finalityLag: 1,
    acceptedMeasurements: [measurementId(developmentMeasurements)],
  });
  const trust = { chain: { genesisHash: chain.genesisHash }, tcb: {} };
  const mockTdx = await startMockTdx({
    // A TD of this network is started with the hash of the network's trust section as its MRCONFIGID.
    measurements: { ...developmentMeasurements, mrConfigId: trustHash(parseTrustSection(trust)) },
  });
  const rootFile = join(folder, 'root.pem');
  writeFileSync(rootFile, mockTdx.rootPem);
  const nodes: DevelopmentNode[] = [];
  for (let number = 1; number <= count; number++) {
    const home = join(folder, `node-${number}`);
    mkdirSync(home, { recursive: true });
    const port = await freePort();
    const metricsPort = await freePort();
    const config = {
      node: { dataFolder: './data' },
      listen: { host: '127.0.0.1', port },
      metrics: { host: '127.0.0.1', port: metricsPort },
      agent: { socketPath: './agent.sock' },
      chain: {
        endpoints: [chain.url],
        developmentRegistration: { stash: encodeSs58(systemRandom(32)), endpoint: `127.0.0.1:${port}` },
      },
      quote: { source: 'development', url: mockTdx.url, platform: number },
      collateral: { endpoints: [mockTdx.url] },
      trust,
      limits: { perAddress: unlimited, perPlatform: unlimited, maxKeysPerPlatformAndAccount: 1000 },
      healing,
      log: { level: 'info' },
    };
    writeFileSync(
      join(home, 'latchkey.yaml'),
      `# ${toPrefixedHex(trustHash(parseTrustSection(trust)))}\n${stringify(config, { aliasDuplicateObjects: false })}`,
    );
    nodes.push(
      new DevelopmentNode({ number, home, port, metricsPort, rootFile, mayLie: number > count - 2 }),
    );
  }
  for (const node of nodes) node.start();
  return {
    chain,
    mockTdx,
    nodes,
    close: async () => {
      await Promise.all(nodes.map((node) => node.end('SIGTERM')));
      await mockTdx.close();
      await chain.close();
    },
  };
}
