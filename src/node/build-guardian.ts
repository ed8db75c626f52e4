import type { GuardianParts } from '../boot/life/boot-stage.ts';
import { Guardian } from '../boot/life/guardian.ts';
import { RollbackAcceptance } from '../boot/node/rollback-acceptance.ts';
import { ServerVetter } from '../boot/obtain/vet-server.ts';
import { AccountId } from '../bytes/fixed-bytes.ts';
import type { Config } from '../config/schema.ts';
import { Judge } from '../keyserver/judge.ts';
import { TcbGrace } from '../keyserver/tcb-grace.ts';
import { EvidenceVerifier } from '../keyserver/verify.ts';
import { TokenBuckets } from '../time/token-buckets.ts';
import { custodySetOf } from '../trust/custody-set.ts';
import { noPlatformLists, type PlatformLists, platformHash } from '../trust/platform-lists.ts';
import { PlatformRules } from '../trust/platform-rules.ts';
import { tdPolicyOf } from '../trust/trust-section.ts';
import type { ChainWatch } from './chain-watch.ts';
import type { FleetWatch } from './fleet-watch.ts';
import type { NodeParts } from './parts.ts';
import type { OwnMachine } from './self-check.ts';

const BLOCK_TIME_MS = 6_000;

/** A guardian, and the parts that it shares with the key server, so that both judge machines by the same rules. */
export interface GuardianRooms {
  readonly guardian: Guardian;
  readonly evidenceVerifier: EvidenceVerifier;
  readonly judge: Judge;
  readonly vetter: ServerVetter;
}

/** Builds the guardian of a node, after its own quote was examined. */
export function buildGuardian(
  config: Config,
  parts: NodeParts,
  surroundings: {
    readonly machine: OwnMachine;
    readonly watch: ChainWatch;
    readonly fleet?: FleetWatch | undefined;
    /** Replaces what the fleet manifest says about platforms. */
    readonly platformLists?: () => PlatformLists;
  },
  options: Required<Pick<GuardianParts, 'mayStayUnbacked' | 'onState'>> & {
    /** The operator allowed it for this start: open a store that is older than what the servers remember. */
    readonly acceptRolledBackStore: boolean;
  } & Pick<GuardianParts, 'holdsFolder' | 'causeOf' | 'storeObserver' | 'custody'>,
): GuardianRooms {
  const { log, clock, random, fileSystem, chain, quotes, client, mainLoop } = parts;
  const { trust, healing, node } = config;
  const { evidenceVerifier, judge, vetter } = buildVetting(config, parts, {
    ...surroundings,
    ownMeasurement: surroundings.machine.measurement,
  });
  const guardian = new Guardian({
    tools: { client, quotes, clock, vetter, random },
    chain,
    log,
    mainLoop,
    fileSystem,
    clock,
    dataFolder: node.dataFolder,
    clockToleranceMs: trust.freshness.clockToleranceMs,
    maxTimeJumpMs: trust.freshness.maxTimeJumpMs,
    leaseMs: trust.fencing?.leaseMs,
    intervalMs: healing.intervalMs,
    expectedAccount:
      node.expectedAccount === undefined
        ? undefined
        : AccountId.parse(node.expectedAccount, 'node.expectedAccount'),
    custody: { set: custodySetOf(trust), platform: surroundings.machine.ppid },
    options: {
      bootstrap: trust.bootstrap,
      minimumThreshold: trust.minimumThreshold,
      patienceMs: healing.patienceMs,
      retryMinMs: healing.retryMinMs,
      retryMaxMs: healing.retryMaxMs,
      renewEveryMs: healing.renewEveryMs,
    },
    acceptance: new RollbackAcceptance(options.acceptRolledBackStore),
    ownPlatform: platformHash(surroundings.machine.ppid),
    ...(surroundings.fleet === undefined ? {} : { memory: surroundings.fleet }),
    ...options,
  });
  return { guardian, evidenceVerifier, judge, vetter };
}

/** What decides which machines are accepted; also for a user, who has none. */
export function buildVetting(
  { trust, limits }: Config,
  parts: Pick<NodeParts, 'clock' | 'verifier' | 'collateral' | 'client'> &
    Partial<Pick<NodeParts, 'metrics'>>,
  surroundings: {
    /** 32 bytes: accepted by every policy. */
    readonly ownMeasurement: Uint8Array;
    readonly watch: ChainWatch;
    readonly fleet?: FleetWatch | undefined;
    readonly platformLists?: (() => PlatformLists) | undefined;
  },
): Omit<GuardianRooms, 'guardian'> {
  const { clock, verifier, collateral, client, metrics } = parts;
  const { fleet, platformLists } = surroundings;
  const now = () => clock.nowMs();
  const evidenceVerifier = new EvidenceVerifier({
    verifier,
    collateral,
    now,
    onJudged: (milliseconds, isKnownChain) => {
      metrics?.quoteVerifySeconds.observe(milliseconds / 1000);
      metrics?.quoteChains.inc({ cache: isKnownChain ? 'hit' : 'miss' });
    },
  });
  const judge = new Judge({
    trust,
    tdPolicy: tdPolicyOf(trust),
    ownMeasurement: surroundings.ownMeasurement,
    chain: () => surroundings.watch,
    grace: new TcbGrace({ graceMs: trust.freshness.tcbGraceMs }),
    now,
    platformRate: new TokenBuckets(limits.perPlatform),
    ...(fleet === undefined ? {} : { fleet }),
    platforms: new PlatformRules(
      trust,
      platformLists ?? ((view) => fleet?.platforms(view) ?? noPlatformLists),
    ),
  });
  const bounds = { maxAgeMs: trust.freshness.attestationMaxAgeMs, blockTimeMs: BLOCK_TIME_MS };
  const vetter = new ServerVetter({ verifier, evidenceVerifier, judge, client, clock, bounds });
  return { evidenceVerifier, judge, vetter };
}
