import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevelopmentChain, startDevelopmentChain } from '../../devnet/chain/development-chain.ts';
import { freePort } from '../../devnet/free-port.ts';
import { developmentMeasurements } from '../../mock-tdx/measurements.ts';
import { type MockTdx, startMockTdx } from '../../mock-tdx/server.ts';
import { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import type { Config } from '../../src/config/schema.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { sr25519PublicKey } from '../../src/crypto/sr25519.ts';
import { LatchkeyNode, type NodeOptions } from '../../src/node/latchkey-node.ts';
import { buildParts } from '../../src/node/parts.ts';
import type { RingMembership, RingStanding } from '../../src/node/ring/ring-membership.ts';
import type { Fetch } from '../../src/outbound/bounded-fetch.ts';
import type { RingNode } from '../../src/ring/replication/ring-node.ts';
import { signRecord } from '../../src/secrets/record.ts';
import type { Resolve } from '../../src/secrets/relay/name-servers.ts';
import { encodeEntry, hashValue, saltValue, secretEntry } from '../../src/secrets/value.ts';
import { insecureTrustRoot } from '../../src/tdx/verify-quote.ts';
import { trustHash } from '../../src/trust/trust-hash.ts';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { eventually } from './chain-fixtures.ts';
import { secretContent, seedOf } from './secret-records.ts';

const healing = {
  intervalMs: 500,
  retryMinMs: 100,
  retryMaxMs: 500,
  patienceMs: 60_000,
  peerDeadlineMs: 10_000,
  formerClientsDeadlineMs: 0,
  attestationIntervalMs: 5_000,
};
const ring = { intervalMs: 200, timeoutMs: 5_000, keepFreeBytes: 0 };
const unlimited = { burst: 1_000_000, perSecond: 1_000_000 };

/** One machine: folder, address and platform stay when its process ends. */
export class RingPlace {
  readonly stash = AccountId.of(systemRandom(32));
  readonly folder: string;
  readonly #start: (place: RingPlace, options: NodeOptions) => Promise<LatchkeyNode>;
  readonly port: number;
  readonly platform: number;
  readonly events: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[] = [];
  #node: LatchkeyNode | undefined;
  /** Replaces the network for what this node sends to others of the ring. */
  fetch: Fetch = (url, init) => fetch(url, init);

  constructor(parts: {
    readonly folder: string;
    readonly port: number;
    readonly platform: number;
    readonly start: (place: RingPlace, options: NodeOptions) => Promise<LatchkeyNode>;
  }) {
    this.folder = parts.folder;
    this.port = parts.port;
    this.platform = parts.platform;
    this.#start = parts.start;
  }

  get isRunning(): boolean {
    return this.#node !== undefined;
  }

  get node(): LatchkeyNode {
    if (this.#node === undefined) throw new Error('the node does not run');
    return this.#node;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get membership(): RingMembership {
    const { ring: membership } = this.node;
    if (membership === undefined) throw new Error('the node has no ring yet');
    return membership;
  }

  /** The ring's node. */
  get ring(): RingNode {
    const { node } = this.membership;
    if (node === undefined) throw new Error('the node is no member yet');
    return node;
  }

  async start(options: NodeOptions = {}): Promise<void> {
    this.#node = await this.#start(this, options);
  }

  async stop(): Promise<void> {
    await this.#node?.close();
    this.#node = undefined;
  }

  /** Waits until the node does this for the ring. */
  async until(...standings: readonly RingStanding[]): Promise<void> {
    await eventually(() => {
      const standing = this.#node?.ring?.report().standing;
      return standing !== undefined && standings.includes(standing) ? true : undefined;
    });
  }
}

/** A chain, mock-tdx and real nodes in this process, over real sockets, with a ring. */
export interface RingNetwork extends AsyncDisposable {
  readonly chain: DevelopmentChain;
  readonly mockTdx: MockTdx;
  readonly places: readonly RingPlace[];
  /** The configuration of a machine. */
  configOf(place: RingPlace): Config;
  configText(place: RingPlace): string;
  /** A machine that is not started. */
  add(): Promise<RingPlace>;
  /** Waits until any one node may stop: all hold slots for all others, whose keys are in memory alone. */
  untilHealed(): Promise<void>;
}

/** Starts `count` nodes, and waits until all of them serve. */
export async function ringNetwork(
  count: number,
  replicas = 3,
  more: {
    readonly trust?: object;
    readonly config?: object;
    readonly resolve?: Resolve;
    readonly blockTimeMs?: number;
    /** Messages go as those of a process do: `RingPlace.fetch` is not asked. */
    readonly isPlain?: boolean;
  } = {},
): Promise<RingNetwork> {
  const home = mkdtempSync(join(tmpdir(), 'latchkey-ring-'));
  const chain = await startDevelopmentChain({ blockTimeMs: more.blockTimeMs ?? 200, finalityLag: 1 });
  const trust = {
    chain: { genesisHash: chain.genesisHash, checkpoint: chain.checkpoint() },
    tcb: {},
    bootstrap: true,
    minimumThreshold: 1,
    ring: { firstBlock: 0, everyBlocks: 2, replicas },
    ...more.trust,
  };
  const mrConfigId = trustHash(parseTrustSection(trust));
  const mockTdx = await startMockTdx({ measurements: { ...developmentMeasurements, mrConfigId } });
  const configText = (place: RingPlace): string => {
    const local = { host: '127.0.0.1', port: 0 };
    const endpoint = `127.0.0.1:${place.port}`;
    // JSON is YAML.
    return JSON.stringify({
      node: { dataFolder: place.folder },
      listen: { host: '127.0.0.1', port: place.port },
      metrics: local,
      agent: { socketPath: join(place.folder, 'agent.sock') },
      chain: {
        endpoints: [chain.url],
        developmentRegistration: { stash: encodeSs58(place.stash), endpoint },
      },
      quote: { source: 'development', url: mockTdx.url, platform: place.platform },
      collateral: { endpoints: [mockTdx.url] },
      trust,
      healing,
      ring,
      secrets: { users: 'all' },
      limits: { perAddress: unlimited, perPlatform: unlimited, shutdownDeadlineMs: 100 },
      ...more.config,
    });
  };
  const configOf = (place: RingPlace): Config => loadConfig(configText(place), {});
  const start = async (place: RingPlace, options: NodeOptions): Promise<LatchkeyNode> => {
    const config = configOf(place);
    const log = (_level: string, event: string, fields: Readonly<Record<string, unknown>> = {}) =>
      void place.events.push({ event, fields });
    const overrides = {
      log,
      trustRoot: insecureTrustRoot(mockTdx.rootPem),
      ...(more.isPlain === true ? {} : { fetch: ((url, init) => place.fetch(url, init)) satisfies Fetch }),
      ...(more.resolve === undefined ? {} : { resolve: more.resolve }),
    };
    const node = new LatchkeyNode(config, buildParts(config, overrides), options);
    await node.start();
    return node;
  };
  const places: RingPlace[] = [];
  const add = async (): Promise<RingPlace> => {
    const platform = places.length + 1;
    const place = new RingPlace({
      folder: join(home, `node-${platform}`),
      port: await freePort(),
      platform,
      start,
    });
    places.push(place);
    return place;
  };
  const untilHealed = async (): Promise<void> => {
    const running = places.filter(({ isRunning }) => isRunning);
    const isHealed = ({ node }: RingPlace): boolean =>
      node.state.name === 'backed' && (node.keyServer?.vault.accounts ?? 0) >= running.length - 1;
    await eventually(() => (running.every(isHealed) ? true : undefined));
  };
  for (let n = 0; n < count; n++) await (await add()).start();
  await Promise.all(places.map((place) => place.until('serving')));
  await untilHealed();
  return {
    chain,
    mockTdx,
    places,
    add,
    untilHealed,
    configOf,
    configText,
    async [Symbol.asyncDispose]() {
      await Promise.all(places.map((place) => place.stop()));
      await mockTdx.close();
      await chain.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A secret of a user, as the ring keeps it. @param user which one; each has another id. */
export function ringSecret(user: number, version = 1): Uint8Array {
  const seed = seedOf(user);
  const salted = saltValue(new TextEncoder().encode(`key of user ${user}, version ${version}`), systemRandom);
  const account = AccountId.of(sr25519PublicKey(seed.reveal()));
  const expiresAtMs = Date.now() + 365 * 86_400_000;
  const content = secretContent({ account, version, expiresAtMs, valueHash: hashValue(salted) });
  return encodeEntry(secretEntry(signRecord(seed, content), salted));
}
