import { getConnInfo } from '@hono/node-server/conninfo';
import type { DrainDesk } from '../agent/drain-routes.ts';
import type { FleetDesk } from '../agent/fleet-routes.ts';
import type { RollbackDesk } from '../agent/rollback-routes.ts';
import type { CustodyDesk } from '../boot/life/custody-desk.ts';
import { NodeFolder } from '../boot/node/node-folder.ts';
import { defaultAgentSocket } from '../config/agent-socket.ts';
import type { Config } from '../config/schema.ts';
import type { Secrets } from '../config/secrets.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { AddressRates } from '../http/address-rates.ts';
import { entropyRoutes } from '../http/entropy-routes.ts';
import { keyRoutes, refuseWhenBusy } from '../http/key-routes.ts';
import { defaultListenerBounds, type Listener, listen } from '../http/listener.ts';
import { metricsApp } from '../http/metrics-app.ts';
import { appWithMiddleware, requestIds } from '../http/middleware.ts';
import { type NodeFace, nodeRoutes } from '../http/node-routes.ts';
import { pageApp } from '../http/page-app.ts';
import { ringRoutes } from '../http/ring-routes.ts';
import { MAX_SECRET_BODY_BYTES, secretRoutes } from '../http/secret-routes.ts';
import type { SecretService } from '../secrets/service/secret-service.ts';
import type { Store } from '../store/api/store-api.ts';
import { agentApp } from './agent.ts';
import type { ChainWatch } from './chain-watch.ts';
import { DecryptionsListener } from './decryptions-listener.ts';
import { FleetLook } from './fleet-look.ts';
import type { NodeAudit } from './node-audit.ts';
import type { NodeReport } from './node-report.ts';
import type { NodeParts } from './parts.ts';
import type { RingMembership } from './ring/ring-membership.ts';
import type { Rotation } from './rotation.ts';
import type { Serving } from './serving.ts';

/** Largest body of most routes of the open port: a request with the largest quote, in base64. */
const MAX_BODY_BYTES = 64 * 1024;
const RING_MESSAGE = '/ring/message/';

/** Where a node listens. */
export interface NodeAddresses extends Readonly<Record<'listen' | 'metrics' | 'agent', string>> {
  readonly decryptions?: string;
  readonly page?: string;
}

/** The parts of a node that the listeners serve. */
export interface Listened {
  readonly face: NodeFace;
  readonly report: NodeReport;
  /** @throws ProblemError NODE_LOCKED while the store is closed. */
  readonly keyServer: () => Serving['keyServer'];
  /** The key server, where there is one. */
  readonly presentKeyServer: () => Serving['keyServer'] | undefined;
  /** @throws ProblemError NODE_LOCKED while the store is closed; RING_OFF where there is no ring. */
  readonly ring: () => RingMembership;
  /** @throws as `ring`. */
  readonly secretService: () => SecretService;
  /** @throws ProblemError NODE_LOCKED while the store is closed. */
  readonly entropy: () => NonNullable<Serving['entropy']>;
  /** @throws ProblemError NODE_LOCKED while the store is closed. */
  readonly drain: () => DrainDesk;
  /** @throws ProblemError NODE_LOCKED while the store is closed. */
  readonly rotation: () => Rotation;
  /** @throws ProblemError NODE_LOCKED while the store is closed. */
  readonly custody: () => CustodyDesk;
  /** @throws ProblemError NODE_LOCKED while the machine is not examined. */
  readonly rollback: () => RollbackDesk;
  /** @throws ProblemError NODE_LOCKED while the store is closed, INTERNAL when its log could not be read. */
  readonly audit: () => NodeAudit;
  /** `undefined` where the trust section names no authority. */
  readonly fleet: () => FleetDesk | undefined;
  /** @throws ProblemError NODE_LOCKED while the store is closed, or this instance does not hold its account. */
  readonly store: () => Store;
  readonly secrets: Secrets;
  readonly watch: Pick<ChainWatch, 'servers'>;
  /** Aborts when the node closes. */
  readonly ending: AbortSignal;
}

/** The listeners of a node: the open port, metrics, the agent's socket and, when configured, the status page and decryptions. */
export class NodeListeners {
  readonly #deadlineMs: number;
  readonly #listeners: Listener[] = [];
  #decryptions: DecryptionsListener | undefined;
  #page: Listener | undefined;

  private constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
  }

  /**
   * Opens all of them, or none.
   * @throws ProblemError LISTEN_FAILED, DECRYPTIONS_LISTEN_FAILED, CONFIG_INVALID.
   */
  static async open(config: Config, parts: NodeParts, shown: Listened): Promise<NodeListeners> {
    const doors = new NodeListeners(config.limits.shutdownDeadlineMs);
    try {
      await doors.#open(config, parts, shown);
      return doors;
    } catch (error) {
      // What listens already would keep the process alive.
      await doors.close();
      throw error;
    }
  }

  async #open(config: Config, parts: NodeParts, { face, report, ...shown }: Listened): Promise<void> {
    const { log, metrics, random, clock, fileSystem } = parts;
    const { limits, decryptions, node } = config;
    const common = { log, metrics, random, now: () => clock.nowMs(), deadlineMs: limits.requestDeadlineMs };
    const app = appWithMiddleware({
      ...common,
      maxBodyBytes: (path) => maxBodyBytesOf(path, shown.ring),
      rate: new AddressRates(limits.perAddress),
      peerAddress: (context) => getConnInfo(context).remote.address,
    });
    keyRoutes(app, shown.keyServer);
    if (config.entropyRoutes) entropyRoutes(app, shown.entropy);
    nodeRoutes(app, face, { entropy: config.entropyRoutes });
    ringRoutes(app, () => shown.ring().desk);
    secretRoutes(app, shown.secretService);
    const refuseEarly = refuseWhenBusy(shown.presentKeyServer, requestIds(random));
    this.#listeners.push(await listen(app.fetch, config.listen, defaultListenerBounds, refuseEarly));
    const metricsHandler = metricsApp(metrics, () => report.refreshMetrics());
    this.#listeners.push(await listen(metricsHandler.fetch, config.metrics));
    // The agent's socket lies in it by default, before there is a node.
    await new NodeFolder(fileSystem, node.dataFolder).makeDataFolder();
    const socketPath = config.agent.socketPath ?? defaultAgentSocket(node.dataFolder);
    const { store, drain, rotation, custody, rollback, audit, fleet } = shown;
    const { rituals } = config;
    const local = agentApp(common, {
      store,
      drain,
      rotation,
      custody,
      rollback,
      audit,
      fleet,
      status: async () => ({ ...report.status(), ...(await report.entropy()) }),
      rituals,
      transit: config.agent.transit,
    });
    this.#listeners.push(await listen(local.fetch, { socketPath }));
    if (config.page !== undefined) {
      const { hostNames, ...address } = config.page;
      const look = new FleetLook({ clock, fetch: parts.fetch ?? fetch, report, ...shown });
      const page = await pageApp({ hostNames, data: () => report.page(), fleet: () => look.view() }, common);
      this.#page = await listen(page.fetch, address);
      this.#listeners.push(this.#page);
    }
    if (decryptions === undefined) return;
    const locked = () => report.lockedProblem();
    const around = { secrets: shown.secrets, log, metrics, locked };
    this.#decryptions = await DecryptionsListener.start(decryptions, around);
  }

  get addresses(): NodeAddresses {
    const [open, metrics, agent] = this.#listeners;
    const decryptions = this.#decryptions === undefined ? {} : { decryptions: this.#decryptions.url };
    const page = this.#page === undefined ? {} : { page: this.#page.url };
    return {
      listen: open?.url ?? '',
      metrics: metrics?.url ?? '',
      agent: agent?.url ?? '',
      ...decryptions,
      ...page,
    };
  }

  /** Serves decryptions from the open store. */
  async openDecryptions(store: Store): Promise<void> {
    await this.#decryptions?.open(store);
  }

  /** Finishes requests in flight, within the deadline. */
  async close(): Promise<void> {
    await this.#decryptions?.close(this.#deadlineMs);
    await Promise.all(this.#listeners.map((listener) => listener.close(this.#deadlineMs)));
  }
}

/** Bytes of a body by the path of its route: only sessions that are open send long ones. */
function maxBodyBytesOf(path: string, ring: () => RingMembership): number {
  if (path.startsWith('/secrets/')) return MAX_SECRET_BODY_BYTES;
  if (!path.startsWith(RING_MESSAGE)) return MAX_BODY_BYTES;
  try {
    return Math.max(MAX_BODY_BYTES, ring().desk.maxBytes(path.slice(RING_MESSAGE.length)));
  } catch (error) {
    // The route itself says why there is no ring.
    if (error instanceof LatchkeyError) return MAX_BODY_BYTES;
    throw error;
  }
}
