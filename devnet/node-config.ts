import { stringify } from 'yaml';
import { encodeSs58 } from '../src/bytes/ss58.ts';
import { systemRandom } from '../src/crypto/random.ts';

/** Short times, so that a person can watch the network heal; longer ones where the machine is slow. */
const healingAt = (slowness: number) => ({
  intervalMs: 1_000,
  retryMinMs: 300,
  retryMaxMs: 2_000,
  // A server that restarts again and again is waited for up to eight times as long, and node-1 restarts in every chapter.
  patienceMs: Math.round(2_000 * slowness),
  peerDeadlineMs: Math.min(60_000, Math.round(3_000 * slowness)),
  formerClientsDeadlineMs: Math.round(30_000 * slowness),
  attestationIntervalMs: 5_000,
});
/** The ring, where it is on: short intervals, and the relay may call a service on this machine. */
const ringAt = (slowness: number) => ({
  ring: { intervalMs: 1_000, timeoutMs: Math.min(60_000, Math.round(3_000 * slowness)) },
  secrets: { users: 'all', relay: { allowAddresses: ['127.0.0.1'] } },
});
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
  /** How many times slower than a quiet machine this one is. */
  readonly slowness: number;
  /** Healing as in production, instead of the short times that a person can watch. */
  readonly hasDefaultTimes: boolean;
  /** Whether the trust section has a ring. */
  readonly hasRing: boolean;
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
    fleet: { intervalMs: 1_000 },
    limits: { perAddress: unlimited, perPlatform: unlimited, maxKeysPerPlatformAndAccount: 1000 },
    ...(node.hasDefaultTimes ? {} : { healing: healingAt(node.slowness) }),
    ...(node.hasRing ? ringAt(node.slowness) : {}),
    log: { level: 'info' },
  };
  return stringify(config, { aliasDuplicateObjects: false });
}
