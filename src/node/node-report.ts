import { type NodeState, stateToJson } from '../boot/node/node-state.ts';
import type { OpenNode } from '../boot/node/open-node.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { PageData } from '../http/page-data.ts';
import type { Quorum } from '../keyslots/threshold.ts';
import { Metrics } from '../observe/metrics.ts';
import { PROTOCOL_VERSION } from '../protocol/labels.ts';
import type { ChainWatch } from './chain-watch.ts';
import { adviceOnReload, type ReloadReport } from './config-reload.ts';
import { adviceOnCustody, custodyStatus } from './custody-status.ts';
import type { DrainProgress } from './drain.ts';
import { adviceOnFleet, countFleet, type FleetReport } from './fleet-report.ts';
import type { KeyslotReport } from './keyslot-report.ts';
import { causeOf, type NodeFacts, type NodeWords, nodeWords } from './node-words.ts';
import { type OlderReport, olderReport } from './older-report.ts';
import { adviceOnRecord, type OwnRecord } from './own-record.ts';
import { type PageParts, pageData } from './page-report.ts';
import type { NodeParts } from './parts.ts';
import { setRingMetrics } from './ring/ring-advice.ts';
import type { RingReport } from './ring/ring-membership.ts';
import { type ClientCounts, countClients, type Serving } from './serving.ts';
import type { StoreWatch } from './store-watch.ts';

/** Strangers ask, and counting takes a walk over every key: how long a count does. */
const COUNTED_FOR_MS = 1_000;

/** The counts of a node that does not serve yet. */
const NOTHING: Counts = { clients: 0, atRisk: 0, unregistered: 0, drain: undefined };

/** What a report is made of. */
type ReportParts = Pick<NodeParts, 'metrics' | 'collateral' | 'verifier' | 'clock'> & {
  readonly storeWatch: StoreWatch;
};

/** What a report asks of the part of a node that serves others. */
type Served = Pick<Serving, 'keyServer' | 'formerClients' | 'drain' | 'entropy'> &
  Partial<Pick<Serving, 'refusals'>>;

/** The parts of a node that a report asks. */
interface ReportedNode {
  readonly open: () => OpenNode | undefined;
  readonly serving: () => Served | undefined;
  readonly chain?: () =>
    | (NonNullable<PageParts['chain']> & Partial<Pick<ChainWatch, 'recordOf'>>)
    | undefined;
  /** Early warnings of TCB recoveries, as JSON; `undefined` while there is nothing to say. */
  readonly tcbWarnings?: () => Readonly<Record<string, unknown>> | undefined;
  /** The head of the audit log, and how many entries are not written yet. */
  readonly audit?: () => Readonly<Record<string, unknown>> | undefined;
  /** Why this machine would get no key back if it restarted now; `undefined` when it would. */
  readonly restartRefusal?: () => string | undefined;
  /** What the chain shows of this node's account; `undefined` while the store is closed or the chain silent. */
  readonly ownRecord?: () => OwnRecord | undefined;
  /** What it knows of fleet manifests; `undefined` without an authority. */
  readonly fleet?: () => FleetReport | undefined;
  /** The slots that the store depends on; `undefined` while it is closed or has none. */
  readonly keyslots?: () => KeyslotReport | undefined;
  /** This node's part in the ring; `undefined` where there is none. */
  readonly ring?: () => RingReport | undefined;
  /** How the last reload of the configuration ended; `undefined` before the first. */
  readonly reload?: (() => ReloadReport | undefined) | undefined;
}

/** What a walk over all keys counts. */
interface Counts extends ClientCounts {
  readonly drain: DrainProgress | undefined;
}

/** The slot numbers of a state; `undefined` where the last known number stays true. */
function slotNumbers(state: NodeState): {
  readonly live?: number;
  readonly wanted?: number;
  readonly threshold?: number;
} {
  switch (state.name) {
    case 'backed':
    case 'degraded':
      return { live: state.live, wanted: state.n, threshold: state.t };
    case 'locked':
      return { live: state.have, wanted: state.n, threshold: state.need };
    case 'unclaimed':
    case 'open': {
      const live = state.slots.filter(({ standing }) => standing === 'live').length;
      return { live, ...wantedBy(state.quorum) };
    }
    case 'unbacked':
      // A store that no server can open needs one slot at least.
      return { live: 0, wanted: 1, threshold: 1 };
    case 'fenced':
      return wantedBy(state.quorum);
    case 'starting':
    case 'fresh':
    case 'stopped':
      return { live: 0 };
  }
}

const wantedBy = (quorum: Quorum | undefined): { readonly wanted?: number; readonly threshold?: number } =>
  quorum === undefined ? {} : { wanted: quorum.n, threshold: quorum.t };

/** Reports the state of a node on its open port, on its agent's socket, and as metrics. */
export class NodeReport {
  readonly #parts: ReportParts;
  readonly #node: ReportedNode;
  #state: NodeState = { name: 'starting', reason: 'examining this machine' };
  #counted: ({ readonly serving: Served; readonly atMs: number } & Counts) | undefined;

  constructor(parts: ReportParts, node: ReportedNode) {
    this.#parts = parts;
    this.#node = node;
  }

  get state(): NodeState {
    return this.#state;
  }

  /** Takes a new state, and counts it. */
  setState(state: NodeState): void {
    this.#state = state;
    const { metrics } = this.#parts;
    Metrics.setState(metrics.nodeState, state.name);
    const cause = causeOf(state);
    metrics.nodeCause.reset();
    if (cause !== undefined) metrics.nodeCause.set({ cause }, 1);
    const { live, wanted, threshold } = slotNumbers(state);
    if (live !== undefined) metrics.slotsLive.set(live);
    if (wanted !== undefined) metrics.slotsWanted.set(wanted);
    if (threshold !== undefined) metrics.slotsThreshold.set(threshold);
  }

  /** Answer of `GET /info`. */
  info(): Readonly<Record<string, unknown>> {
    const { verifier } = this.#parts;
    const identity = this.#node.open()?.identity;
    const serving = this.#node.serving();
    return {
      name: 'latchkey',
      protocol: PROTOCOL_VERSION,
      mode: verifier.trustRoot.isIntel ? 'production' : 'INSECURE: injected trust root',
      state: this.#state.name,
      ...(identity === undefined
        ? {}
        : {
            accountId: encodeSs58(identity.account),
            x25519PublicKey: toPrefixedHex(identity.x25519PublicKey),
          }),
      ...(serving === undefined ? {} : { instanceId: toPrefixedHex(serving.keyServer.identity.instanceId) }),
      ...(serving?.drain.isDraining ? { draining: true } : {}),
    };
  }

  /** Read once for each answer. */
  #facts(): NodeFacts {
    const serving = this.#node.serving();
    return {
      state: this.#state,
      isDraining: serving?.drain.isDraining ?? false,
      formerClients: serving?.formerClients.pending ?? 0,
      older: this.#older(),
      restartRefusal: this.#node.restartRefusal?.(),
      storeAdvice: this.#parts.storeWatch.advice,
      ownRecord: this.#node.ownRecord?.(),
      fleet: this.#node.fleet?.(),
      ring: this.#node.ring?.(),
    };
  }

  /** Answer of `GET /readyz`: backed, no former client left alone, and not about to be stopped. */
  readiness(): { readonly ready: boolean; readonly report: Readonly<Record<string, unknown>> } {
    const facts = this.#facts();
    const words = nodeWords(facts);
    return { ready: words.ready, report: this.#report(facts, words) };
  }

  #report(facts: NodeFacts, { summary, cause, advice }: NodeWords): Readonly<Record<string, unknown>> {
    const { state, formerClients, older, restartRefusal, ownRecord, fleet, ring } = facts;
    const serving = this.#node.serving();
    const { clients, atRisk, unregistered, drain } = serving === undefined ? NOTHING : this.#count(serving);
    return {
      ...stateToJson(state),
      summary,
      ...(cause === undefined ? {} : { cause }),
      advice,
      ...this.#parts.storeWatch.report,
      ...(formerClients === 0 ? {} : { waitingForFormerClients: formerClients }),
      ...(drain === undefined ? {} : { draining: drain }),
      ...older,
      ...(restartRefusal === undefined ? {} : { restartRefusal }),
      ...(ownRecord === undefined ? {} : { ownRecord }),
      ...(fleet === undefined ? {} : { fleet }),
      ...(ring === undefined ? {} : { ring }),
      clients,
      clientsAtRisk: atRisk,
      ...(unregistered === 0 ? {} : { clientsUnregistered: unregistered }),
    };
  }

  /** Answer of the agent's `GET /status`. What it says of custody is not for the open port. */
  status(): Readonly<Record<string, unknown>> {
    const facts = this.#facts();
    const words = nodeWords(facts);
    const tcbWarnings = this.#node.tcbWarnings?.();
    const custody = custodyStatus(this.#node.open());
    const keyslots = this.#node.keyslots?.();
    const reload = this.#node.reload?.();
    // Custody and the configuration of this machine are not for the open port either.
    const advice = [...words.advice, ...adviceOnCustody(custody), ...adviceOnReload(reload)];
    return {
      ...this.info(),
      ready: words.ready,
      ...this.#report(facts, words),
      ...(tcbWarnings === undefined ? {} : { tcbWarnings }),
      ...(custody === undefined ? {} : { custody }),
      ...(keyslots === undefined ? {} : { keyslots }),
      fleetAdvice: adviceOnFleet(facts.fleet),
      recordAdvice: adviceOnRecord(facts.ownRecord),
      ...this.#node.audit?.(),
      ...(reload === undefined ? {} : { reload }),
      advice,
      explanation: advice.join(' '),
    };
  }

  /** The clients of this node; `undefined` while it does not serve. */
  clients(): readonly AccountId[] | undefined {
    return this.#node
      .serving()
      ?.drain.remaining()
      .map(({ account }) => account);
  }

  /** What the status page shows. */
  async page(): Promise<PageData> {
    return pageData({
      ...this.#parts,
      chain: this.#node.chain?.(),
      open: this.#node.open(),
      serving: this.#node.serving(),
      status: this.status(),
    });
  }

  /** Backups of nodes of entropy-tss, for the agent's `GET /status`; nothing where their routes are switched off. */
  async entropy(): Promise<Readonly<Record<string, unknown>>> {
    const entropy = await this.#node.serving()?.entropy?.status();
    return entropy === undefined ? {} : { entropy };
  }

  /** Whether the chain shows no record of an account; false while that is not known. */
  #isUnregistered(account: AccountId): boolean {
    const chain = this.#node.chain?.();
    return chain?.recordOf !== undefined && chain.recordOf(account) === undefined;
  }

  #older(): OlderReport {
    const open = this.#node.open();
    return open === undefined ? {} : olderReport(open);
  }

  /** NODE_LOCKED, with the state as the reason. */
  lockedProblem(): ProblemError {
    return new ProblemError('NODE_LOCKED', `the node is ${String(stateToJson(this.#state)['summary'])}`, {
      observed: this.#state.name,
      retryAfterMs: 5_000,
    });
  }

  /** Updates the metrics that are computed only on request. */
  async refreshMetrics(): Promise<void> {
    const { metrics, collateral, storeWatch } = this.#parts;
    const store = this.#node.open()?.store;
    // A store that is being closed has no health to tell.
    if (store !== undefined) await storeWatch.refresh(store).catch(() => undefined);
    const { olderGenerationOpen = [], formerLineageOpen = [], olderDropped = 0 } = this.#older();
    metrics.olderGenerationsOpen.set(olderGenerationOpen.length);
    metrics.formerLineagesOpen.set(formerLineageOpen.length);
    metrics.olderDropped.set(olderDropped);
    countFleet(metrics, this.#node.fleet?.());
    const ring = this.#node.ring?.();
    if (ring !== undefined) setRingMetrics(metrics, ring);
    const serving = this.#node.serving();
    if (serving !== undefined) {
      metrics.vaultKeys.set(serving.keyServer.vault.size);
      metrics.vaultLineages.set(serving.keyServer.vault.lineageCount);
      const { atRisk, drain } = this.#count(serving);
      metrics.clientsAtRisk.set(atRisk);
      metrics.draining.set(drain === undefined ? 0 : 1);
      metrics.drainingClients.set(drain?.remaining ?? 0);
      metrics.drainingUnmovable.set(drain?.unmovable ?? 0);
    }
    metrics.collateralState.reset();
    metrics.collateralValidUntil.reset();
    const sets = collateral.status();
    for (const { state } of sets) metrics.collateralState.inc({ state });
    const untilMs = Math.min(...sets.map(({ validUntilMs = 0 }) => validUntilMs));
    if (sets.length > 0) metrics.collateralValidUntil.set(untilMs / 1000);
  }

  #count(serving: Served): Counts {
    const nowMs = this.#parts.clock.nowMs();
    const counted = this.#counted;
    if (
      counted?.serving === serving &&
      (counted.drain !== undefined) === serving.drain.isDraining &&
      nowMs >= counted.atMs &&
      nowMs < counted.atMs + COUNTED_FOR_MS
    ) {
      return counted;
    }
    const counts = {
      ...countClients(serving.keyServer, nowMs, (account) => this.#isUnregistered(account)),
      drain: serving.drain.progress(),
    };
    this.#counted = { serving, atMs: nowMs, ...counts };
    return counts;
  }
}
