import { setMaxListeners } from 'node:events';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { ServerRecord } from '../chain/chain-view.ts';
import type { ShownFleet, ShownFleetNode } from '../http/page-data.ts';
import type { Fetch } from '../outbound/bounded-fetch.ts';
import { askEach, askOpenPort, heardNode, silentNode } from '../restarts/ask-open-port.ts';
import { type AskedNode, type PlannedNode, planRestarts } from '../restarts/restart-plan.ts';
import { serverTargets } from '../restarts/server-targets.ts';
import type { Clock } from '../time/clock.ts';
import { withDeadline } from '../time/deadline.ts';
import type { ChainWatch } from './chain-watch.ts';
import type { NodeReport } from './node-report.ts';

/** For one request. */
const TIMEOUT_MS = 4_000;
/** For all of them: who was not asked until then is silent. */
const ROUND_MS = 60_000;
/** Between two rounds, however often the page asks. */
const PAUSE_MS = 10_000;
/** Answers that are older say nothing about now. */
const MAX_AGE_MS = 60_000;
/** Most servers that are asked; the others are silent, so that no node looks safe. */
const MAX_ASKED = 256;
/** Most reasons, and most accounts at risk, that are shown for one node. */
const MAX_SHOWN = 8;
/** The name of the own node in the place of an address. */
const THIS_NODE = 'this node';

/** What a look at the fleet is made of. */
export interface FleetLookParts {
  readonly clock: Clock;
  readonly fetch: Fetch;
  readonly watch: Pick<ChainWatch, 'servers'>;
  /** What this node says of itself, without the network. */
  readonly report: Pick<NodeReport, 'status' | 'clients'>;
  /** Ends a round with the node. */
  readonly ending: AbortSignal;
}

interface Round {
  readonly atMs: number;
  readonly shown: ShownFleet;
}

/**
 * Asks all servers of the chain for the status page, by their open ports: in the background, only while the page asks,
 * and never more often than every ten seconds. A request cannot name an address.
 */
export class FleetLook {
  readonly #parts: FleetLookParts;
  #last: Round | undefined;
  #isAsking = false;

  constructor(parts: FleetLookParts) {
    this.#parts = parts;
  }

  /** What the last round found, when it is young enough; and begins the next one. */
  view(): ShownFleet {
    const { clock, ending } = this.#parts;
    const ageMs = this.#ageMs(clock.nowMs());
    if (!this.#isAsking && ageMs >= PAUSE_MS && !ending.aborted) void this.#look();
    const shown = ageMs <= MAX_AGE_MS ? this.#last?.shown : undefined;
    return { nodes: [], order: [], ...shown, isAsking: this.#isAsking };
  }

  /** A clock that was set back makes the last round old. */
  #ageMs(nowMs: number): number {
    const atMs = this.#last?.atMs ?? Number.NEGATIVE_INFINITY;
    return nowMs < atMs ? Number.POSITIVE_INFINITY : nowMs - atMs;
  }

  async #look(): Promise<void> {
    this.#isAsking = true;
    try {
      // Nobody waits for a round, so nothing may be thrown: an unhandled rejection ends the process, and with it its keys.
      const shown = await this.#round().catch((error: unknown): ShownFleet => {
        const reason = error instanceof Error ? error.message : String(error);
        return {
          isAsking: false,
          nodes: [],
          order: [],
          problem: `the servers could not be asked: ${reason}`,
        };
      });
      this.#last = { atMs: this.#parts.clock.nowMs(), shown };
    } finally {
      this.#isAsking = false;
    }
  }

  async #round(): Promise<ShownFleet> {
    const { clock, fetch, watch, ending } = this.#parts;
    const registered = watch.servers();
    if (registered === undefined)
      return { isAsking: false, nodes: [], order: [], problem: 'the servers of the chain are not known now' };
    const own = this.#own(registered);
    const others = serverTargets(registered).filter(({ account }) => account !== accountOf(own));
    const notAsked = others
      .slice(MAX_ASKED)
      .map(({ target }) => silentNode(target, `not asked: the chain shows more than ${MAX_ASKED} servers`));
    let asked: Promise<readonly AskedNode[]> = Promise.resolve([]);
    const askOthers = (signal: AbortSignal): Promise<readonly AskedNode[]> => {
      setMaxListeners(0, signal);
      asked = askEach(others.slice(0, MAX_ASKED), (one) =>
        askOpenPort(one, { fetch, timeoutMs: TIMEOUT_MS, signal }),
      );
      return asked;
    };
    await withDeadline(clock, ROUND_MS, askOthers, ending);
    const plan = planRestarts([own, ...(await asked), ...notAsked]);
    const accounts = new Map(others.map(({ target, account }) => [target, account]));
    return {
      isAsking: false,
      askedAt: new Date(clock.nowMs()).toISOString(),
      nodes: plan.nodes.map((node) => shownNode(node, accounts.get(node.target))),
      order: plan.order,
    };
  }

  /** This node, without the network, and under its address of the chain. */
  #own(registered: readonly ServerRecord[]): AskedNode {
    const { report } = this.#parts;
    const status = report.status();
    // A node with a closed store has its account from the keyslot file; the host can write it, and prevents answers with it.
    const account = status['keyslotAccount'];
    const target = { target: THIS_NODE, ...(typeof account === 'string' ? { account } : {}) };
    const heard = heardNode(target, status, report.clients()?.map(encodeSs58));
    const record = registered.find(({ account }) => encodeSs58(account) === accountOf(heard));
    return record === undefined ? heard : { ...heard, target: `${THIS_NODE}, ${record.endpoint}` };
  }
}

const accountOf = ({ answer }: AskedNode): string | undefined =>
  'silent' in answer ? undefined : answer.accountId;

function shownNode(node: PlannedNode, onChain: string | undefined): ShownFleetNode {
  const { target, answer, restart, reasons, atRisk, atRiskByOwnCount } = node;
  const account = onChain ?? accountOf(node);
  return {
    target,
    ...(account === undefined ? {} : { account }),
    ...('silent' in answer
      ? { summary: answer.silent, ready: false }
      : { state: answer.state, summary: answer.summary, ready: answer.ready }),
    restart,
    reasons: reasons.slice(0, MAX_SHOWN),
    moreReasons: Math.max(0, reasons.length - MAX_SHOWN),
    atRisk: atRisk.slice(0, MAX_SHOWN),
    atRiskCount: Math.max(atRisk.length, atRiskByOwnCount),
  };
}
