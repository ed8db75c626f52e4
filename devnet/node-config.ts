import { stringify } from 'yaml';
import { encodeSs58 } from '../src/bytes/ss58.ts';
import { systemRandom } from '../src/crypto/random.ts';

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

/** The configuration file, YAML, of a node of the development network, with a stash of its own. */
export function nodeConfig(node: {
  readonly port: number;
  readonly metricsPort: number;
  readonly chainUrl: string;
  readonly mockTdxUrl: string;
  /** Which machine of mock-tdx it is. */
  readonly platform: number;
  readonly trust: unknown;
}): string {
  const config = {
    node: { dataFolder: './data' },
    listen: { host: '127.0.0.1', port: node.port },
    metrics: { host: '127.0.0.1', port: node.metricsPort },
    agent: { socketPath: './agent.sock' },
    chain: {
      endpoints: [node.chainUrl],
      developmentRegistration: { stash: encodeSs58(systemRandom(32)), endpoint: `127.0.0.1:${node.port}` },
    },
    quote: { source: 'development', url: node.mockTdxUrl, platform: node.platform },
    collateral: { endpoints: [node.mockTdxUrl] },
    trust: node.trust,
    limits: { perAddress: unlimited, perPlatform: unlimited, maxKeysPerPlatformAndAccount: 1000 },
    healing,
    log: { level: 'info' },
  };
  return stringify(config, { aliasDuplicateObjects: false });
}
