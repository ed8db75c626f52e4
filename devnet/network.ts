import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { developmentMeasurements } from '../mock-tdx/measurements.ts';
import { type MockTdx, startMockTdx } from '../mock-tdx/server.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { measurementId } from '../src/trust/measurement.ts';
import { trustHash } from '../src/trust/trust-hash.ts';
import { parseTrustSection } from '../src/trust/trust-section.ts';
import { type DevelopmentChain, startDevelopmentChain } from './chain/development-chain.ts';
import { DevelopmentNode } from './development-node.ts';
import { DevelopmentFleet } from './fleet.ts';
import { freePort } from './free-port.ts';
import { nodeConfig } from './node-config.ts';

/** A whole network on this machine: chain, mock-tdx, and nodes in processes of their own. */
export interface DevelopmentNetwork {
  readonly chain: DevelopmentChain;
  readonly mockTdx: MockTdx;
  readonly nodes: readonly DevelopmentNode[];
  /** A configuration for one more node, which is not started. */
  readonly spareConfigFile: string;
  readonly rootFile: string;
  /** The trust section of all nodes. */
  readonly trust: Readonly<Record<string, unknown>>;
  /** Signs manifests. */
  readonly fleet: DevelopmentFleet;
  /** Of mock-tdx: another one with this seed has the same root and platforms. */
  readonly seed: Uint8Array;
  /** One more node, with a machine of its own; it is not started. */
  add(): Promise<DevelopmentNode>;
  /** Ends every process that was started, and nothing else. */
  close(): Promise<void>;
}

/** Starts chain and mock-tdx, writes a configuration for every node, and starts the nodes; the last two can lie. */
export async function startNetwork(
  folder: string,
  options: {
    readonly nodes: number;
    /** Between two blocks of the chain, in milliseconds. */
    readonly blockTimeMs: number;
    /** From `measureSlowness`. */
    readonly slowness: number;
    /** Healing as in production. */
    readonly hasDefaultTimes?: boolean;
    /** Two of them open every store. */
    readonly custodians?: readonly { readonly name: string; readonly key: string }[];
    /** A ring, whose relay believes this authority (certificate, PEM) besides those of Node.js. */
    readonly relayAuthority?: string;
    /** Options of Node.js for the processes of the nodes. */
    readonly flags?: readonly string[];
  },
): Promise<DevelopmentNetwork> {
  const {
    nodes: count,
    blockTimeMs,
    slowness,
    hasDefaultTimes = false,
    custodians,
    relayAuthority,
    flags = [],
  } = options;
  const chain = await startDevelopmentChain({
    blockTimeMs,
    finalityLag: 1,
    acceptedMeasurements: [measurementId(developmentMeasurements)],
  });
  // Read by proof: the nodes believe their endpoint in nothing.
  const custody = custodians === undefined ? {} : { custody: { threshold: 2, custodians } };
  const ring =
    relayAuthority === undefined ? {} : { ring: { firstBlock: 0 }, relay: { authorities: [relayAuthority] } };
  const fleet = new DevelopmentFleet(chain.genesisHash, folder);
  const trust = {
    chain: { genesisHash: chain.genesisHash, checkpoint: chain.checkpoint() },
    tcb: {},
    authority: fleet.authority,
    platforms: { recover: 'bound', servers: 'registered', clients: 'any' },
    ...custody,
    ...ring,
  };
  const sectionHash = trustHash(parseTrustSection(trust));
  const hash = toPrefixedHex(sectionHash);
  const seed = systemRandom(32);
  const mockTdx = await startMockTdx({
    seed,
    // A TD of this network is started with the hash of the network's trust section as its MRCONFIGID.
    measurements: { ...developmentMeasurements, mrConfigId: sectionHash },
  });
  const rootFile = join(folder, 'root.pem');
  writeFileSync(rootFile, mockTdx.rootPem);
  const furnish = async (home: string, platform: number) => {
    const ports = { port: await freePort(), metricsPort: await freePort() };
    const shared = {
      chainUrl: chain.url,
      mockTdxUrl: mockTdx.url,
      trust,
      slowness,
      hasDefaultTimes,
      hasRing: relayAuthority !== undefined,
    };
    const config = nodeConfig({ ...ports, ...shared, platform });
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'latchkey.yaml'), `# trust hash ${hash}\n${config}`);
    return { home, ...ports };
  };
  const nodes: DevelopmentNode[] = [];
  const add = async (mayLie: boolean): Promise<DevelopmentNode> => {
    // The machine after theirs is that of the spare configuration.
    const number = nodes.length < count ? nodes.length + 1 : nodes.length + 2;
    const furnished = await furnish(join(folder, `node-${number}`), number);
    const node = new DevelopmentNode({ number, ...furnished, rootFile, mayLie, flags });
    nodes.push(node);
    return node;
  };
  for (let number = 1; number <= count; number++) await add(number > count - 2);
  const spare = await furnish(join(folder, 'spare'), count + 1);
  for (const node of nodes) node.start();
  return {
    chain,
    mockTdx,
    nodes,
    rootFile,
    trust,
    fleet,
    seed,
    spareConfigFile: join(spare.home, 'latchkey.yaml'),
    add: () => add(false),
    close: async () => {
      await Promise.all(nodes.map((node) => node.end('SIGTERM')));
      await mockTdx.close();
      await chain.close();
    },
  };
}
