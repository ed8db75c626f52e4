import { Writable } from 'node:stream';
import {
  createDevelopmentPki,
  type DevelopmentPki,
  type QuoteRequest,
} from '../../mock-tdx/development-pki.ts';
import { developmentMeasurements } from '../../mock-tdx/measurements.ts';
import type { TdBody } from '../../mock-tdx/quote/td-body.ts';
import { AccountId, InstanceId, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import type { CollateralSource } from '../../src/collateral/collateral-source.ts';
import type { RandomSource } from '../../src/crypto/random.ts';
import { x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { EntropyServer } from '../../src/entropy/entropy-server.ts';
import { AddressRates } from '../../src/http/address-rates.ts';
import { entropyRoutes } from '../../src/http/entropy-routes.ts';
import { keyRoutes } from '../../src/http/key-routes.ts';
import { appWithMiddleware } from '../../src/http/middleware.ts';
import { type NodeFace, nodeRoutes } from '../../src/http/node-routes.ts';
import { accountRegistry } from '../../src/keyserver/account-registry.ts';
import { AdmissionQueue } from '../../src/keyserver/admission-queue.ts';
import { type FleetFacts, Judge } from '../../src/keyserver/judge.ts';
import { KeyServer, type KeyServerParts } from '../../src/keyserver/key-server.ts';
import { OwnAttestation } from '../../src/keyserver/own-attestation.ts';
import { TcbGrace } from '../../src/keyserver/tcb-grace.ts';
import { defaultVaultLimits, Vault, type VaultLimits } from '../../src/keyserver/vault.ts';
import { EvidenceVerifier } from '../../src/keyserver/verify.ts';
import { ChainWatch } from '../../src/node/chain-watch.ts';
import { jsonLog } from '../../src/observe/log.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { ChallengeIssuer } from '../../src/protocol/challenge.ts';
import type { Extensions } from '../../src/protocol/extensions.ts';
import type { Store } from '../../src/store/api/store-api.ts';
import { insecureTrustRoot, QuoteVerifier, type TrustRoot } from '../../src/tdx/verify-quote.ts';
import { monotonicMsOf } from '../../src/time/clock.ts';
import { type Rate, TokenBuckets } from '../../src/time/token-buckets.ts';
import { measurementId } from '../../src/trust/measurement.ts';
import { noPlatformLists, type PlatformLists } from '../../src/trust/platform-lists.ts';
import { PlatformRules } from '../../src/trust/platform-rules.ts';
import { trustHash } from '../../src/trust/trust-hash.ts';
import { type PlatformPolicy, parseTrustSection, tdPolicyOf } from '../../src/trust/trust-section.ts';
import { ManualClock, START_MS } from './collateral-world.ts';
import { type MemoryChain, memoryChain } from './memory-chain.ts';
import { seededBytes } from './seeded-bytes.ts';

/** What a test may choose of a key server. */
export interface KeyServerWorldOptions {
  /** Different seeds make different servers; the development PKI is the same for all. */
  readonly seed?: number;
  readonly pki?: DevelopmentPki;
  readonly chain?: MemoryChain;
  readonly clock?: ManualClock;
  /** Changes to the trust section; its genesis hash is zero. */
  readonly trust?: Readonly<Record<string, unknown>>;
  /** The rules about platforms; those that need an authority too. */
  readonly platforms?: PlatformPolicy;
  /** What the fleet says about platforms; nothing by default. */
  readonly platformLists?: () => PlatformLists;
  readonly limits?: Partial<VaultLimits>;
  readonly platformRate?: Rate;
  readonly addressRate?: Rate;
  /** How many requests of nodes that are not locked may wait for their turn. */
  readonly othersMayWait?: number;
  readonly deadlineMs?: number;
  /** The extensions that grants and MACed answers carry after their fixed fields. */
  readonly extensionsFor?: (account: AccountId) => Extensions;
  /** Called before a key leaves. */
  readonly onRelease?: KeyServerParts['onRelease'];
  /** What the fleet manifest accepts. */
  readonly fleet?: FleetFacts;
  /** Replaces collateral, for outages and delays. */
  readonly collateral?: CollateralSource;
  /** Switches on the routes of entropy-tss, with their backups in this store. */
  readonly entropyStore?: Store;
  /** Whether another instance has taken over; for the routes of entropy-tss. */
  readonly isFenced?: () => boolean;
  /** Done before a backup leaves. */
  readonly onBackupRelease?: () => Promise<void>;
  /** Another root than that of the development PKI. */
  readonly trustRoot?: TrustRoot;
}

/** A key server in this process with everything real but the disk, the chain and the network. */
export interface KeyServerWorld {
  readonly account: AccountId;
  readonly keyServer: KeyServer;
  /** The routes of entropy-tss, where they are switched on. */
  readonly entropy: EntropyServer | undefined;
  readonly vault: Vault;
  /** The parts that it uses to judge, for other code that must judge in the same way. */
  readonly verifier: QuoteVerifier;
  readonly evidenceVerifier: EvidenceVerifier;
  readonly judge: Judge;
  readonly chain: MemoryChain;
  readonly clock: ManualClock;
  readonly pki: DevelopmentPki;
  readonly metrics: Metrics;
  /** MRCONFIGID of machines that run under this server's trust section. */
  readonly trustHash: Uint8Array;
  /** All logged events, in the form of the log. */
  logText(): string;
  /** Accounts that the server was told to remember and to forget. */
  readonly served: readonly AccountId[];
  readonly forgotten: readonly AccountId[];
  /** The app, for a listener. */
  readonly handler: (request: Request) => Response | Promise<Response>;
  /** Sends one request to the app; the body is JSON text or a value. */
  send(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Reply>;
  /** A quote of a development machine that runs under this server's trust section. */
  quote(request: Omit<QuoteRequest, 'body'> & { readonly body?: Partial<TdBody> }): Uint8Array;
}

/** What came back. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
}

const sharedPki = createDevelopmentPki({ seed: new Uint8Array(32).fill(1) });
const unlimited: Rate = { burst: 1e9, perSecond: 1e9 };

/** Random bytes that repeat with the seed and never with one another. */
export function countingRandom(seed: number): RandomSource {
  let draws = 0;
  return (length) => seededBytes(seed * 65_537 + ++draws * 7_919, length);
}

/** Collateral of the development PKI, fresh at any time. */
export function memoryCollateral(pki: DevelopmentPki, clock: ManualClock): CollateralSource {
  let set = { issuedMs: Number.NaN, documents: pki.collateral({ nowMs: clock.nowMs() }) };
  return {
    graceMs: 0,
    async collateralFor() {
      const nowMs = clock.nowMs();
      const day = Math.floor(nowMs / 86_400_000);
      if (set.issuedMs !== day) set = { issuedMs: day, documents: pki.collateral({ nowMs }) };
      return { documents: set.documents, state: 'fresh', validUntilMs: nowMs + 86_400_000 };
    },
    status: () => [],
    async close() {},
    async [Symbol.asyncDispose]() {},
  };
}

const quietFace: NodeFace = {
  info: () => ({ name: 'latchkey' }),
  fleet: () => ({ manifests: [] }),
  accepts: () => ({}),
  readiness: () => ({ ready: true, report: {} }),
  hear: () => ({ enrolled: true }),
};

/** Builds a key server behind its middleware. */
export function keyServerWorld(options: KeyServerWorldOptions = {}): KeyServerWorld {
  const { seed = 1, pki = sharedPki, clock = new ManualClock(START_MS) } = options;
  const random = countingRandom(seed);
  const parsed = parseTrustSection({ chain: { genesisHash: `0x${'00'.repeat(32)}` }, ...options.trust });
  // After parsing: rules that need an authority are judged by lists that a test makes itself.
  const trust = options.platforms === undefined ? parsed : { ...parsed, platforms: options.platforms };
  const chain = options.chain ?? memoryChain();
  const watch = new ChainWatch({ chain, clock, maxAgeMs: 600_000, onSnapshot: () => undefined });
  // As a node does at its start; without a view of the chain no plain key is made.
  let isTold = false;
  chain.subscribe(() => {
    isTold = true;
  });
  void chain.snapshot().then(
    (snapshot) => isTold || watch.take(snapshot),
    () => undefined,
  );
  const now = () => clock.nowMs();
  const account = AccountId.of(seededBytes(seed + 1000, 32));
  const x25519 = x25519KeyPairFromSecret(seededBytes(seed + 2000, 32));
  const x25519PublicKey = X25519PublicKey.of(x25519.publicKey);
  const instanceId = InstanceId.of(random(16));
  const lines: string[] = [];
  const log = jsonLog(
    'debug',
    new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    }),
  );
  const metrics = new Metrics();
  const served: AccountId[] = [];
  const forgotten: AccountId[] = [];
  const own = { ...developmentMeasurements, mrConfigId: trustHash(trust) };
  const quote: KeyServerWorld['quote'] = (request) =>
    pki.quote({ ...request, body: { ...own, ...request.body } });
  const verifier = new QuoteVerifier({
    trustRoot: options.trustRoot ?? insecureTrustRoot(sharedPki.rootPem),
  });
  const registry = accountRegistry({ chain: watch, verifier, now });
  const vault = new Vault(
    random,
    registry,
    { ...defaultVaultLimits, ...options.limits },
    { monotonicMs: () => monotonicMsOf(clock) },
  );
  const collateral = options.collateral ?? memoryCollateral(sharedPki, clock);
  const evidenceVerifier = new EvidenceVerifier({ verifier, collateral, now });
  const judge = new Judge({
    trust,
    tdPolicy: tdPolicyOf(trust),
    ownMeasurement: measurementId(own),
    chain: () => watch,
    grace: new TcbGrace({ graceMs: trust.freshness.tcbGraceMs }),
    now,
    platformRate: new TokenBuckets(options.platformRate ?? unlimited),
    ...(options.fleet === undefined ? {} : { fleet: options.fleet }),
    platforms: new PlatformRules(trust, options.platformLists ?? (() => noPlatformLists)),
  });
  const admission =
    options.othersMayWait === undefined
      ? new AdmissionQueue({ random })
      : new AdmissionQueue({
          random,
          others: { waitMs: 1, fewest: options.othersMayWait, most: options.othersMayWait },
        });
  const keyServer = new KeyServer({
    admission,
    identity: { account, x25519, x25519PublicKey, instanceId },
    challenges: new ChallengeIssuer({ random }),
    evidenceVerifier,
    judge,
    vault,
    attestation: new OwnAttestation({
      identity: { server: account, x25519PublicKey, instanceId },
      quotes: { quote: async (reportData) => quote({ reportData }) },
      finalized: () => watch.finalized(),
      intervalMs: 60_000,
    }),
    finalized: () => watch.finalized(),
    ...(options.extensionsFor === undefined ? {} : { extensionsFor: options.extensionsFor }),
    now,
    log,
    onRelease: (release) => {
      metrics.keysReleased.inc({ intent: release.grant.bound.request.intent });
      return options.onRelease?.(release);
    },
    onRefusal: (code) => metrics.keysRefused.inc({ code }),
    onBusy: () => metrics.keysRefused.inc({ code: 'SERVER_BUSY' }),
    onServed: (who) => served.push(who),
    onForgotten: (who) => forgotten.push(who),
  });
  const app = appWithMiddleware({
    log,
    metrics,
    random,
    now,
    maxBodyBytes: 64 * 1024,
    deadlineMs: options.deadlineMs ?? 20_000,
    rate: new AddressRates(options.addressRate ?? unlimited),
    peerAddress: ({ req }) => req.header('x-test-peer') ?? '192.0.2.1',
  });
  keyRoutes(app, () => keyServer);
  const { entropyStore } = options;
  const entropy =
    entropyStore &&
    new EntropyServer({
      identity: { ...keyServer.identity, accountSeed: SecretBytes.adopt(seededBytes(seed + 3000, 32)) },
      store: entropyStore,
      chain: watch,
      verifier,
      admission,
      evidenceVerifier,
      judge,
      quotes: { quote: async (reportData) => quote({ reportData }) },
      random,
      now,
      limits: { ...defaultVaultLimits, ...options.limits },
      isDraining: () => vault.isDraining,
      isFenced: options.isFenced ?? (() => false),
      version: '0.0.0',
      log,
      onRelease: async () => {
        metrics.keysReleased.inc({ intent: 'entropy' });
        await options.onBackupRelease?.();
      },
      onRefusal: (code) => metrics.keysRefused.inc({ code }),
    });
  if (entropy !== undefined) entropyRoutes(app, () => entropy);
  nodeRoutes(app, quietFace, { entropy: entropy !== undefined });
  return {
    account,
    keyServer,
    entropy,
    vault,
    verifier,
    evidenceVerifier,
    judge,
    chain,
    clock,
    pki,
    metrics,
    trustHash: own.mrConfigId,
    logText: () => lines.join(''),
    served,
    forgotten,
    quote,
    handler: app.fetch,
    async send(method, path, body, headers = { 'content-type': 'application/json' }) {
      const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
      const init = text === undefined ? { method, headers } : { method, headers, body: text };
      const response = await app.request(path, init);
      const answer = await response.text();
      const isJson = response.headers.get('content-type')?.includes('json') ?? false;
      const json: unknown = isJson ? JSON.parse(answer) : {};
      // Every route answers an object; tests read single fields.
      return {
        status: response.status,
        headers: response.headers,
        json: json as Reply['json'],
        text: answer,
      };
    },
  };
}
