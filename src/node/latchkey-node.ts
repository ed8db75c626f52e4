import { getConnInfo } from '@hono/node-server/conninfo';
import { Guardian } from '../boot/guardian.ts';
import { NodeFolder } from '../boot/node-folder.ts';
import { explain, type NodeState, stateToJson } from '../boot/node-state.ts';
import type { OpenNode } from '../boot/open-node.ts';
import { ServerVetter } from '../boot/vet-server.ts';
import { equalBytes } from '../bytes/concat.ts';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { ChainSnapshot } from '../chain/chain-view.ts';
import type { Config } from '../config/schema.ts';
import type { Secrets } from '../config/secrets.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { keyRoutes } from '../http/key-routes.ts';
import { type Listener, listen } from '../http/listener.ts';
import { metricsApp } from '../http/metrics-app.ts';
import { nodeRoutes } from '../http/node-routes.ts';
import { porch } from '../http/porch.ts';
import { Judge } from '../keyserver/judge.ts';
import { TcbGrace } from '../keyserver/tcb-grace.ts';
import { TokenBuckets } from '../keyserver/token-buckets.ts';
import { Witness } from '../keyserver/witness.ts';
import { Metrics } from '../observe/metrics.ts';
import { PROTOCOL_VERSION } from '../protocol/labels.ts';
import { tdPolicyOf } from '../trust/trust-section.ts';
import { agentApp, defaultAgentSocket } from './agent.ts';
import { ChainWatch } from './chain-watch.ts';
import { DecryptionsListener } from './decryptions-listener.ts';
import type { NodeParts } from './parts.ts';
import { registerForDevelopment } from './registration.ts';
import { examineOwnMachine, type OwnMachine } from './self-check.ts';
import { buildServing, clientsAtRisk, type Serving } from './serving.ts';

/** Largest body of the open port: a request with the largest quote, in base64. */
const MAX_BODY_BYTES = 64 * 1024;
/** How often the own machine is examined again while that fails. */
const SELF_CHECK_RETRY_MS = 2_000;
const BLOCK_TIME_MS = 6_000;
/** Longest time between two looks at the newest block. */
const CHAIN_FOLLOW_MS = 15_000;

/** What a human decides for one start; never in a file. */
export interface NodeOptions {
  /** Open the store although it is older than the last head that was deposited with the servers. */
  readonly acceptRolledBackStore?: boolean;
  /** What the configuration names by its file; `readSecrets` reads them. */
  readonly secrets?: Secrets;
}

/** A running node: guardian of its own store, key server for the others. */
export class LatchkeyNode implements AsyncDisposable {
  readonly #config: Config;
  readonly #options: NodeOptions;
  readonly #parts: NodeParts;
  readonly #stop = new AbortController();
  readonly #watch: ChainWatch;
  #state: NodeState = { name: 'starting', reason: 'examining this machine' };
  #guardian: Guardian | undefined;
  #serving: Serving | undefined;
  #decryptions: DecryptionsListener | undefined;
  #listeners: Listener[] = [];
  #running: Promise<void> | undefined;

  constructor(config: Config, parts: NodeParts, options: NodeOptions = {}) {
    this.#options = options;
    this.#config = config;
    this.#parts = parts;
    const { chain, clock } = parts;
    this.#watch = new ChainWatch({
      chain,
      clock,
      maxAgeMs: config.trust.freshness.chainHeadMaxAgeMs,
      onSnapshot: (snapshot) => {
        this.#noteBlock(snapshot);
        this.#guardian?.nudge();
      },
    });
  }

  get state(): NodeState {
    return this.#state;
  }

  /** The open node, or `undefined` while the store is closed. */
  get open(): OpenNode | undefined {
    return this.#guardian?.node;
  }

  /** The key server, or `undefined` while the store is closed. */
  get keyServer(): Serving['keyServer'] | undefined {
    return this.#serving?.keyServer;
  }

  /** Addresses in use, once started. */
  get addresses(): Readonly<Record<'listen' | 'metrics' | 'agent', string>> & {
    readonly decryptions?: string;
  } {
    const [open, metrics, agent] = this.#listeners;
    const decryptions = this.#decryptions === undefined ? {} : { decryptions: this.#decryptions.url };
    return { listen: open?.url ?? '', metrics: metrics?.url ?? '', agent: agent?.url ?? '', ...decryptions };
  }

  /**
   * Opens the listeners, then boots and heals in the background: the API is up whatever state the store is in.
   * @throws ProblemError LISTEN_FAILED.
   */
  async start(): Promise<void> {
    const { log, verifier, metrics } = this.#parts;
    if (!verifier.trustRoot.isIntel) {
      metrics.insecure.set(1);
      log('warn', 'trust.insecure-root', {
        message: 'INSECURE: quotes are verified up to an injected root, not Intel’s. For development only.',
      });
    }
    try {
      await this.#listen();
    } catch (error) {
      // What listens already would keep the process alive.
      await this.close();
      throw error;
    }
    log('info', 'node.listening', this.addresses);
    this.#running = this.#run().catch((error: unknown) => {
      log('error', 'node.failed', {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    });
  }

  /** Boots once, without listening or serving; for `latchkey unlock`. Returns the open node, or the state. */
  async unlockOnce(attempts: number): Promise<OpenNode | NodeState> {
    const machine = await examineOwnMachine(this.#parts.quotes, this.#config.trust, this.#parts.random);
    this.#guardian = this.#buildGuardian(machine, { mayStayUnbacked: false }).guardian;
    return (await this.#guardian.open(attempts)) ?? this.#guardian.state;
  }

  /** Finishes requests in flight, wipes keys, closes the store. */
  async close(): Promise<void> {
    const { log, chain, collateral } = this.#parts;
    this.#stop.abort();
    await this.#decryptions?.close(this.#config.limits.shutdownDeadlineMs);
    await Promise.all(
      this.#listeners.map((listener) => listener.close(this.#config.limits.shutdownDeadlineMs)),
    );
    this.#serving?.keyServer.wipe();
    await this.#guardian?.close();
    await this.#running;
    this.#watch.close();
    await chain[Symbol.asyncDispose]();
    await collateral.close();
    log('info', 'node.stopped', {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    const { quotes, random, clock, log } = this.#parts;
    const everyMs = Math.min(CHAIN_FOLLOW_MS, this.#config.healing.intervalMs);
    const following = this.#watch.follow(everyMs, this.#stop.signal, (snapshot) => this.#noteBlock(snapshot));
    following.catch(() => undefined);
    let machine: OwnMachine | undefined;
    while (machine === undefined && !this.#stop.signal.aborted) {
      try {
        machine = await examineOwnMachine(quotes, this.#config.trust, random);
        log('info', 'machine.examined', machine.description);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        log('error', 'machine.refused', { reason });
        this.#setState({ name: 'starting', reason });
        await clock.sleep(SELF_CHECK_RETRY_MS, this.#stop.signal);
      }
    }
    if (machine === undefined || this.#stop.signal.aborted) return;
    const { guardian, witness, judge } = this.#buildGuardian(machine);
    this.#guardian = guardian;
    const node = await guardian.open();
    if (node === undefined) return;
    this.#serving = buildServing(this.#config, this.#parts, node, { witness, judge, watch: this.#watch });
    const healing = guardian.heal();
    // Whatever else fails, healing goes on: without it the next restart would lose the store.
    const aside = (event: string, work: Promise<unknown> | undefined): Promise<unknown> =>
      Promise.resolve(work).catch((error: unknown) => log('error', event, { error: String(error) }));
    const { formerClients } = this.#serving;
    await aside('served.not-read', formerClients.begin(this.#config.healing.formerClientsDeadlineMs));
    await aside('decryptions.not-open', this.#decryptions?.open(node.store));
    await Promise.all([healing, this.#tellFormerClients(node, this.#serving), this.#register(node)]);
  }

  #noteBlock({ block }: ChainSnapshot): void {
    this.#parts.metrics.chainBlock.set(block.number);
    if (block.timestampMs !== undefined) this.#parts.clock.raise(block.timestampMs);
  }

  #buildGuardian(
    machine: OwnMachine,
    options: { readonly mayStayUnbacked: boolean } = { mayStayUnbacked: true },
  ): { guardian: Guardian; witness: Witness; judge: Judge } {
    const { log, clock, random, fileSystem, verifier, collateral, chain, quotes, client } = this.#parts;
    const { trust, healing, limits, node } = this.#config;
    const now = () => clock.nowMs();
    const witness = new Witness({ verifier, collateral, now });
    const judge = new Judge({
      trust,
      tdPolicy: tdPolicyOf(trust),
      ownMeasurement: machine.measurement,
      chain: () => this.#watch,
      grace: new TcbGrace({ graceMs: trust.freshness.tcbGraceMs }),
      now,
      platformRate: new TokenBuckets(limits.perPlatform),
    });
    const bounds = { maxAgeMs: trust.freshness.attestationMaxAgeMs, blockTimeMs: BLOCK_TIME_MS };
    const vetter = new ServerVetter({ verifier, witness, judge, client, clock, bounds });
    const guardian = new Guardian({
      tools: { client, quotes, clock, vetter, random },
      chain,
      log,
      fileSystem,
      clock,
      dataFolder: node.dataFolder,
      clockToleranceMs: trust.freshness.clockToleranceMs,
      intervalMs: healing.intervalMs,
      expectedAccount:
        node.expectedAccount === undefined
          ? undefined
          : AccountId.parse(node.expectedAccount, 'node.expectedAccount'),
      options: {
        bootstrap: trust.bootstrap,
        minimumThreshold: trust.minimumThreshold,
        patienceMs: healing.patienceMs,
        retryMinMs: healing.retryMinMs,
        retryMaxMs: healing.retryMaxMs,
      },
      mayStayUnbacked: options.mayStayUnbacked,
      acceptRolledBackStore: this.#options.acceptRolledBackStore ?? false,
      onState: (state) => this.#setState(state),
    });
    return { guardian, witness, judge };
  }

  async #tellFormerClients(node: OpenNode, { formerClients, keyServer }: Serving): Promise<void> {
    const { client, chain, log } = this.#parts;
    try {
      const { instanceId } = keyServer.identity;
      const snapshot = () => chain.snapshot();
      await formerClients.tell(client, node.identity.account, instanceId, snapshot, this.#stop.signal);
    } catch (error) {
      log('warn', 'clients.not-told', { error: String(error) });
    }
  }

  async #register({ identity }: OpenNode): Promise<void> {
    const { developmentRegistration, endpoints } = this.#config.chain;
    if (developmentRegistration === undefined) return;
    const { quotes, random, log, clock } = this.#parts;
    await registerForDevelopment(
      { identity, quotes, random, log, clock, signal: this.#stop.signal },
      { ...developmentRegistration, chainEndpoints: endpoints },
    );
  }

  async #listen(): Promise<void> {
    const { log, metrics, random, clock, fileSystem } = this.#parts;
    const { listen: address, metrics: metricsAddress, limits, agent } = this.#config;
    const common = { log, metrics, random, now: () => clock.nowMs(), deadlineMs: limits.requestDeadlineMs };
    const app = porch({
      ...common,
      maxBodyBytes: MAX_BODY_BYTES,
      rate: new TokenBuckets(limits.perAddress),
      peerAddress: (context) => getConnInfo(context).remote.address,
    });
    keyRoutes(app, () => this.#openKeyServer());
    nodeRoutes(app, this);
    this.#listeners.push(await listen(app.fetch, address));
    const metricsHandler = metricsApp(metrics, () => this.#refreshMetrics());
    this.#listeners.push(await listen(metricsHandler.fetch, metricsAddress));
    // The agent's socket lies in it by default, before there is a node.
    await new NodeFolder(fileSystem, this.#config.node.dataFolder).makeDataFolder();
    const socketPath = agent.socketPath ?? defaultAgentSocket(this.#config.node.dataFolder);
    const local = agentApp(common, {
      store: () => this.#openNode().store,
      status: () => this.#status(),
    });
    this.#listeners.push(await listen(local.fetch, { socketPath }));
    const { decryptions } = this.#config;
    if (decryptions === undefined) return;
    this.#decryptions = await DecryptionsListener.start(decryptions, {
      secrets: this.#options.secrets ?? {},
      log,
      metrics,
      locked: () => this.#lockedProblem(),
    });
  }

  #status(): Readonly<Record<string, unknown>> {
    const { ready, report } = this.readiness();
    return { ...this.info(), ready, ...report, explanation: explain(this.#state) };
  }

  #openNode(): OpenNode {
    const node = this.open;
    if (node === undefined) throw this.#lockedProblem();
    return node;
  }

  #openKeyServer(): Serving['keyServer'] {
    if (this.#serving === undefined) throw this.#lockedProblem();
    return this.#serving.keyServer;
  }

  #lockedProblem(): ProblemError {
    return new ProblemError('NODE_LOCKED', `the node is ${String(stateToJson(this.#state)['summary'])}`, {
      observed: this.#state.name,
      retryAfterMs: 5_000,
    });
  }

  #setState(state: NodeState): void {
    this.#state = state;
    const { metrics } = this.#parts;
    Metrics.setState(metrics.nodeState, state.name);
    if (state.name === 'backed' || state.name === 'degraded') {
      metrics.slotsLive.set(state.live);
      metrics.slotsWanted.set(state.n);
      metrics.slotsThreshold.set(state.t);
    }
  }

  #refreshMetrics(): void {
    const { metrics, collateral } = this.#parts;
    if (this.#serving !== undefined) {
      metrics.vaultKeys.set(this.#serving.keyServer.vault.size);
      metrics.clientsAtRisk.set(clientsAtRisk(this.#serving.keyServer));
    }
    metrics.collateralState.reset();
    for (const { state } of collateral.status()) metrics.collateralState.inc({ state });
  }

  /** Answer of `GET /info`. */
  info(): Readonly<Record<string, unknown>> {
    const { verifier } = this.#parts;
    const identity = this.open?.identity;
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
      ...(this.#serving === undefined
        ? {}
        : { instanceId: toPrefixedHex(this.#serving.keyServer.identity.instanceId) }),
    };
  }

  /** Answer of `GET /readyz`: backed, and no former client left alone. */
  readiness(): { readonly ready: boolean; readonly report: Readonly<Record<string, unknown>> } {
    const pending = this.#serving?.formerClients.pending ?? 0;
    const atRisk = this.#serving === undefined ? 0 : clientsAtRisk(this.#serving.keyServer);
    return {
      ready: this.#state.name === 'backed' && pending === 0,
      report: {
        ...stateToJson(this.#state),
        ...(pending === 0 ? {} : { waitingForFormerClients: pending }),
        clientsAtRisk: atRisk,
      },
    };
  }

  /**
   * A server says that its memory is gone: if it held a slot of ours, look at once.
   * @throws ProblemError NODE_LOCKED while this node cannot tell; the server asks again.
   */
  serverRestarted(server: AccountId): boolean {
    const slots = this.#openNode().book.slots();
    const enrolled = slots.some(({ slot }) => equalBytes(slot.server, server));
    if (enrolled) {
      this.#parts.log('info', 'server.restarted', { server: encodeSs58(server) });
      this.#guardian?.nudge();
    }
    return enrolled;
  }
}
