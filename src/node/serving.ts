import type { OpenNode } from '../boot/node/open-node.ts';
import { type AccountId, InstanceId } from '../bytes/fixed-bytes.ts';
import type { Config } from '../config/schema.ts';
import { EntropyServer } from '../entropy/entropy-server.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { accountRegistry } from '../keyserver/account-registry.ts';
import { AdmissionQueue } from '../keyserver/admission-queue.ts';
import type { Judge } from '../keyserver/judge.ts';
import { KeyServer } from '../keyserver/key-server.ts';
import { OwnAttestation } from '../keyserver/own-attestation.ts';
import { Vault } from '../keyserver/vault.ts';
import type { EvidenceVerifier } from '../keyserver/verify.ts';
import { ChallengeIssuer } from '../protocol/challenge.ts';
import { noExtensions } from '../protocol/extensions.ts';
import { monotonicMsOf } from '../time/clock.ts';
import type { ChainWatch } from './chain-watch.ts';
import { Drain } from './drain.ts';
import type { FleetWatch } from './fleet-watch.ts';
import { FormerClients } from './former-clients.ts';
import type { NodeAudit } from './node-audit.ts';
import type { NodeParts } from './parts.ts';
import { RecentRefusals } from './recent-refusals.ts';

/** The parts of an open node that serve other nodes. */
export interface Serving {
  readonly keyServer: KeyServer;
  readonly formerClients: FormerClients;
  readonly drain: Drain;
  readonly attestation: OwnAttestation;
  /** The routes of entropy-tss; `undefined` where the configuration does not switch them on. */
  readonly entropy?: EntropyServer | undefined;
  readonly refusals: RecentRefusals;
}

/** Builds the key server of an open node, with a new instance id and empty memory. */
export function buildServing(
  config: Config,
  parts: NodeParts,
  node: OpenNode,
  rooms: {
    readonly evidenceVerifier: EvidenceVerifier;
    readonly judge: Judge;
    readonly watch: ChainWatch;
    readonly fleet?: FleetWatch | undefined;
    /** Version of this program. */
    readonly version?: string | undefined;
    readonly audit?: NodeAudit | undefined;
  },
): Serving {
  const { clock, random, log, metrics, quotes } = parts;
  const { identity, store } = node;
  const now = () => clock.nowMs();
  const instanceId = InstanceId.of(random(InstanceId.byteLength));
  const serverIdentity = { ...identity, instanceId };
  const formerClients = new FormerClients({ store, log, clock });
  const registry = accountRegistry({ chain: rooms.watch, verifier: parts.verifier, now });
  const vault = new Vault(random, registry, config.limits, {
    isOvertaken: () => store.isFenced,
    monotonicMs: () => monotonicMsOf(clock),
  });
  const onChange = (isDraining: boolean) =>
    void rooms.audit?.note(isDraining ? 'drain.started' : 'drain.ended', {});
  const recorded = releaseRecorder(rooms.audit, config.trust.audit?.required === true);
  const drain = new Drain({ vault, log, clock, onChange });
  const attestation = new OwnAttestation({
    identity: { server: identity.account, x25519PublicKey: identity.x25519PublicKey, instanceId },
    quotes,
    finalized: () => rooms.watch.finalized(),
    intervalMs: config.healing.attestationIntervalMs,
  });
  const record = (change: Promise<void>) => {
    change.catch((error: unknown) => log('warn', 'served.not-recorded', { error: String(error) }));
  };
  const refusals = new RecentRefusals();
  const onRefusal = (code: string, requestId: string, detail: string) => {
    metrics.keysRefused.inc({ code });
    rooms.audit?.refused(code, requestId);
    refusals.add({ atMs: now(), code, detail, requestId });
  };
  const admission = new AdmissionQueue({ random, monotonicMs: () => clock.monotonicMs() });
  const keyServer = new KeyServer({
    identity: serverIdentity,
    admission,
    challenges: new ChallengeIssuer({ random }),
    evidenceVerifier: rooms.evidenceVerifier,
    judge: rooms.judge,
    vault,
    attestation,
    finalized: () => rooms.watch.finalized(),
    extensionsFor: () =>
      new Map([
        ...(rooms.fleet?.extensions() ?? noExtensions),
        ...(rooms.audit?.extensions() ?? noExtensions),
      ]),
    now,
    log,
    onRelease: async (release) => {
      await recorded((audit) => audit.released(release));
      metrics.keysReleased.inc({ intent: release.grant.bound.request.intent });
    },
    onRefusal,
    onBusy: (requestId) => {
      metrics.keysRefused.inc({ code: 'SERVER_BUSY' });
      rooms.audit?.refused('SERVER_BUSY', requestId);
    },
    onServed: (account) => {
      drain.served(account);
      record(formerClients.served(account));
    },
    onForgotten: (account) => {
      drain.forgotten(account);
      record(formerClients.forgotten(account));
    },
  });
  if (!store.isReleased) {
    record(store.whenReleased.then(() => formerClients.recordServed()));
  }
  record(store.whenReleased.then(() => rooms.fleet?.record(store)));
  const entropy = config.entropyRoutes
    ? new EntropyServer({
        ...parts,
        ...rooms,
        identity: serverIdentity,
        admission,
        store,
        chain: rooms.watch,
        now,
        limits: config.limits,
        isDraining: () => drain.isDraining,
        isFenced: () => store.isFenced,
        version: rooms.version ?? 'unknown',
        onRelease: async (release) => {
          await recorded((audit) => audit.gaveBackup(release));
          metrics.keysReleased.inc({ intent: 'entropy' });
        },
        onRefusal,
      })
    : undefined;
  return { keyServer, formerClients, drain, attestation, entropy, refusals };
}

/**
 * Records a release before the key leaves. Without a log no key leaves where the trust section requires its entry.
 * @returns a function that throws ProblemError AUDIT_REQUIRED.
 */
export function releaseRecorder(
  audit: NodeAudit | undefined,
  isRequired: boolean,
): (write: (audit: NodeAudit) => Promise<void>) => Promise<void> {
  return async (write) => {
    if (audit !== undefined) return write(audit);
    if (isRequired)
      throw new ProblemError('AUDIT_REQUIRED', 'this node has no audit log, so no key leaves', {
        hint: 'ask other servers',
      });
  };
}

/** The accounts with a key at a server. */
export interface ClientCounts {
  readonly clients: number;
  /** Stores that would fall below their threshold if the server stopped now, by their own reports. */
  readonly atRisk: number;
  /** Those that the chain shows no record of: not registered yet, or taken off the chain. */
  readonly unregistered: number;
}

/** Counts them. Walks over all keys. @param isUnregistered whether the chain shows no record of an account. */
export function countClients(
  { vault }: KeyServer,
  nowMs: number,
  isUnregistered: (account: AccountId) => boolean = () => false,
): ClientCounts {
  const accounts = new Set<string>();
  const atRisk = new Set<string>();
  const unregistered = new Set<string>();
  for (const key of vault.keys()) {
    if (key.isExpired(nowMs)) continue;
    accounts.add(`${key.account}`);
    if (key.isCritical) atRisk.add(`${key.account}`);
    if (isUnregistered(key.account)) unregistered.add(`${key.account}`);
  }
  return { clients: accounts.size, atRisk: atRisk.size, unregistered: unregistered.size };
}
