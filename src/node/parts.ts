import { PeerClient } from '../boot/peer/peer-client.ts';
import { fetchTransport, type PeerTransport } from '../boot/peer/peer-transport.ts';
import { BlockHash } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex } from '../bytes/hex.ts';
import type { ChainView } from '../chain/chain-view.ts';
import { PolkadotChainView } from '../chain/polkadot-chain-view.ts';
import type { Checkpoint } from '../chain/proof/finality-tracker.ts';
import { SwitchedChainView } from '../chain/switched-chain-view.ts';
import type { CollateralSource } from '../collateral/collateral-source.ts';
import { PccsCollateralSource } from '../collateral/pccs-source.ts';
import type { TcbUpdate } from '../collateral/service-client.ts';
import type { Config } from '../config/schema.ts';
import { type RandomSource, systemRandom } from '../crypto/random.ts';
import type { FileSystem } from '../disk/file-system.ts';
import { nodeFileSystem } from '../disk/node-file-system.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { adjustableLog, type Log } from '../observe/log.ts';
import { MainLoop } from '../observe/main-loop.ts';
import { Metrics } from '../observe/metrics.ts';
import type { Fetch } from '../outbound/bounded-fetch.ts';
import { CONFIGFS_TSM_DIRECTORY, ConfigfsQuoteSource } from '../quote-source/configfs-quote-source.ts';
import { HttpQuoteSource } from '../quote-source/http-quote-source.ts';
import type { QuoteSource } from '../quote-source/quote-source.ts';
import type { Resolve } from '../secrets/relay/name-servers.ts';
import { QuoteVerifier, TrustRoot } from '../tdx/verify-quote.ts';
import { type Clock, FlooredClock, systemClock } from '../time/clock.ts';
import type { ChainSettings, LiveParts } from './live-parts.ts';
import { requireRingTrust } from './ring/ring-trust.ts';

/** Everything outside of a node's own logic, each behind a small interface. */
export interface NodeParts {
  readonly log: Log;
  readonly metrics: Metrics;
  /** Whether the node's main loop goes on, for a watchdog. */
  readonly mainLoop: MainLoop;
  readonly clock: FlooredClock;
  readonly random: RandomSource;
  readonly fileSystem: FileSystem;
  readonly verifier: QuoteVerifier;
  readonly collateral: CollateralSource;
  /** Collateral of `update=early`, for early warnings; `undefined`: none are given. */
  readonly earlyCollateral?: CollateralSource | undefined;
  readonly chain: ChainView;
  readonly quotes: QuoteSource;
  readonly client: PeerClient;
  /** What takes other settings while the node runs; without it these are taken at a restart only. */
  readonly live?: LiveParts;
  /** For fleet manifests and messages of the ring, in place of the global one. */
  readonly fetch?: Fetch;
  /** Of the relay for users' secrets, in place of the system's name servers. */
  readonly resolve?: Resolve;
}

/** Replacements for the real parts, for tests and simulations. */
export interface PartOverrides {
  readonly log?: Log;
  readonly clock?: Clock;
  readonly random?: RandomSource;
  readonly fileSystem?: FileSystem;
  /** Replaces the collateral services. Without `earlyCollateral` there are then no early warnings. */
  readonly collateral?: CollateralSource;
  readonly earlyCollateral?: CollateralSource;
  readonly chain?: ChainView;
  readonly quotes?: QuoteSource;
  readonly transport?: PeerTransport;
  readonly fetch?: Fetch;
  readonly resolve?: Resolve;
  /** Never from the environment or a file: `latchkey serve --insecure-trust-root PEM`, or a test. */
  readonly trustRoot?: TrustRoot;
}

/**
 * Builds the real parts of a configuration; nothing is asked of them yet.
 * @throws ProblemError CONFIG_INVALID for a quote source, or a ring, that only an injected trust root allows.
 */
export function buildParts(config: Config, overrides: PartOverrides = {}): NodeParts {
  const ownLog = adjustableLog(config.log.level);
  const log = overrides.log ?? ownLog.log;
  const clock = new FlooredClock(overrides.clock ?? systemClock);
  const random = overrides.random ?? systemRandom;
  const fileSystem = overrides.fileSystem ?? nodeFileSystem;
  const verifier = new QuoteVerifier({ trustRoot: overrides.trustRoot ?? TrustRoot.intel });
  requireRingTrust(config, verifier.trustRoot);
  const transport = overrides.transport ?? fetchTransport();
  const collateral = collateralOf('standard', config, verifier, clock, fileSystem, log);
  const earlyCollateral = collateralOf('early', config, verifier, clock, fileSystem, log);
  const chain = new SwitchedChainView(overrides.chain ?? chainOf(config, log, clock), clock);
  return {
    log,
    metrics: new Metrics({ processMetrics: true }),
    mainLoop: new MainLoop(() => clock.monotonicMs()),
    clock,
    random,
    fileSystem,
    verifier,
    collateral: overrides.collateral ?? collateral,
    earlyCollateral:
      overrides.earlyCollateral ?? (overrides.collateral === undefined ? earlyCollateral : undefined),
    chain,
    quotes: overrides.quotes ?? quotesOf(config, verifier.trustRoot),
    client: new PeerClient({ transport, clock, random, deadlineMs: config.healing.peerDeadlineMs }),
    live: {
      setLogLevel: ownLog.setLevel,
      moveCollateral: (endpoints) => {
        collateral.setEndpoints(endpoints);
        earlyCollateral.setEndpoints(endpoints);
      },
      // By the measured trust section, and not by the one of the file.
      moveChain: (next) => chain.moveTo(chainOf({ chain: next, trust: config.trust }, log, clock)),
    },
    ...(overrides.fetch === undefined ? {} : { fetch: overrides.fetch }),
    ...(overrides.resolve === undefined ? {} : { resolve: overrides.resolve }),
  };
}

function collateralOf(
  update: TcbUpdate,
  { collateral, trust }: Config,
  verifier: QuoteVerifier,
  clock: Clock,
  fileSystem: FileSystem,
  log: Log,
): PccsCollateralSource {
  const minimum = trust.tcb['minimumTcbEvaluationDataNumber'];
  return new PccsCollateralSource({
    endpoints: collateral.endpoints,
    verifier,
    clock,
    log,
    graceMs: trust.freshness.collateralGraceMs,
    update,
    ...(typeof minimum === 'number' ? { minimumTcbEvaluationDataNumber: minimum } : {}),
    // Early sets only make warnings, so they need not survive a restart.
    ...(collateral.cacheFolder === undefined || update !== 'standard'
      ? {}
      : { cache: { fileSystem, directory: collateral.cacheFolder } }),
  });
}

/** The chain as a configuration reads it. */
export function chainOf(
  { chain, trust }: { readonly chain: ChainSettings; readonly trust: Config['trust'] },
  log: Log,
  clock: Clock,
): ChainView {
  const { checkpoint } = trust.chain;
  return new PolkadotChainView({
    endpoints: chain.endpoints,
    agreement: chain.agreement,
    genesisHash: BlockHash.parse(trust.chain.genesisHash, 'trust.chain.genesisHash'),
    maxSnapshotAgeMs: trust.freshness.chainHeadMaxAgeMs,
    maxBlockAgeMs: trust.freshness.chainHeadMaxAgeMs,
    clock,
    ...(checkpoint === undefined ? {} : { checkpoint: checkpointOf(checkpoint) }),
    log: ({ event, ...fields }) => log(event.endsWith('failed') ? 'warn' : 'info', event, fields),
  });
}

function checkpointOf(checkpoint: NonNullable<Config['trust']['chain']['checkpoint']>): Checkpoint {
  const bytes = (hex: string, name: string): Uint8Array =>
    parsePrefixedHex(hex, 32, `trust.chain.checkpoint.${name}`);
  return {
    blockNumber: checkpoint.blockNumber,
    blockHash: bytes(checkpoint.blockHash, 'blockHash'),
    authoritySetId: checkpoint.authoritySetId,
    authorities: checkpoint.authorities.map((authority) => bytes(authority, 'authorities')),
  };
}

function quotesOf({ quote }: Config, trustRoot: TrustRoot): QuoteSource {
  // The section `quote` is not measured: the author of the file would choose where this machine's quotes come from.
  const place = unmeasuredSource(quote);
  if (place !== undefined && trustRoot.isIntel) {
    throw new ProblemError('CONFIG_INVALID', `${place} is for development only`, {
      field: place,
      expected: `quotes from ${CONFIGFS_TSM_DIRECTORY}`,
      hint: 'start with --insecure-trust-root PEM, which says that nothing here is secure, or remove the key',
    });
  }
  if (quote.source === 'development')
    return new HttpQuoteSource({ url: quote.url, platform: quote.platform });
  return new ConfigfsQuoteSource(quote.path === undefined ? {} : { directory: quote.path });
}

/** The key of a configuration that takes quotes from elsewhere than this machine's kernel, if there is one. */
function unmeasuredSource(quote: Config['quote']): string | undefined {
  if (quote.source === 'development') return 'quote.source';
  const isStandard = quote.path === undefined || quote.path === CONFIGFS_TSM_DIRECTORY;
  return isStandard ? undefined : 'quote.path';
}
