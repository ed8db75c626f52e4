import { explain, type NodeState, stateToJson } from '../boot/node-state.ts';
import type { OpenNode } from '../boot/open-node.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { Metrics } from '../observe/metrics.ts';
import { PROTOCOL_VERSION } from '../protocol/labels.ts';
import type { NodeParts } from './parts.ts';
import { clientsAtRisk, type Serving } from './serving.ts';

/** Strangers ask, and counting takes a walk over every key: how long a count does. */
const COUNTED_FOR_MS = 1_000;

/** What a report is made of. */
type ReportParts = Pick<NodeParts, 'metrics' | 'collateral' | 'verifier' | 'clock'>;

/** Says how a node is: to whoever asks its open port, its agent, or its metrics. */
export class NodeReport {
  readonly #parts: ReportParts;
  readonly #node: { readonly open: () => OpenNode | undefined; readonly serving: () => Serving | undefined };
  #state: NodeState = { name: 'starting', reason: 'examining this machine' };
  #counted: { readonly serving: Serving; readonly atMs: number; readonly atRisk: number } | undefined;

  constructor(
    parts: ReportParts,
    node: { readonly open: () => OpenNode | undefined; readonly serving: () => Serving | undefined },
  ) {
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
    if (state.name === 'backed' || state.name === 'degraded') {
      metrics.slotsLive.set(state.live);
      metrics.slotsWanted.set(state.n);
      metrics.slotsThreshold.set(state.t);
    }
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
    };
  }

  /** Answer of `GET /readyz`: backed, and no former client left alone. */
  readiness(): { readonly ready: boolean; readonly report: Readonly<Record<string, unknown>> } {
    const serving = this.#node.serving();
    const pending = serving?.formerClients.pending ?? 0;
    const atRisk = serving === undefined ? 0 : this.#clientsAtRisk(serving);
    return {
      ready: this.#state.name === 'backed' && pending === 0,
      report: {
        ...stateToJson(this.#state),
        ...(pending === 0 ? {} : { waitingForFormerClients: pending }),
        clientsAtRisk: atRisk,
      },
    };
  }

  /** Answer of the agent's `GET /status`. */
  status(): Readonly<Record<string, unknown>> {
    const { ready, report } = this.readiness();
    return { ...this.info(), ready, ...report, explanation: explain(this.#state) };
  }

  /** NODE_LOCKED, with the state as the reason. */
  lockedProblem(): ProblemError {
    return new ProblemError('NODE_LOCKED', `the node is ${String(stateToJson(this.#state)['summary'])}`, {
      observed: this.#state.name,
      retryAfterMs: 5_000,
    });
  }

  /** Brings those metrics up to date that are only looked at when somebody asks. */
  refreshMetrics(): void {
    const { metrics, collateral } = this.#parts;
    const serving = this.#node.serving();
    if (serving !== undefined) {
      metrics.vaultKeys.set(serving.keyServer.vault.size);
      metrics.clientsAtRisk.set(this.#clientsAtRisk(serving));
    }
    metrics.collateralState.reset();
    for (const { state } of collateral.status()) metrics.collateralState.inc({ state });
  }

  #clientsAtRisk(serving: Serving): number {
    const nowMs = this.#parts.clock.nowMs();
    const counted = this.#counted;
    if (counted?.serving === serving && nowMs >= counted.atMs && nowMs < counted.atMs + COUNTED_FOR_MS) {
      return counted.atRisk;
    }
    const atRisk = clientsAtRisk(serving.keyServer);
    this.#counted = { serving, atMs: nowMs, atRisk };
    return atRisk;
  }
}
