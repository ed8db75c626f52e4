import { setMaxListeners } from 'node:events';
import type { NodeBackup, RestoredNode } from '../boot/life/restore-node.ts';
import { lockedCauseOf } from '../boot/node/locked-cause.ts';
import { NodeFolder } from '../boot/node/node-folder.ts';
import type { NodeState } from '../boot/node/node-state.ts';
import type { OpenNode } from '../boot/node/open-node.ts';
import type { Config } from '../config/schema.ts';
import type { Secrets } from '../config/secrets.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { orAborted } from '../time/or-aborted.ts';
import { tdPolicyOf } from '../trust/trust-section.ts';
import { AuditPart } from './audit-part.ts';
import { buildGuardian, type GuardianRooms } from './build-guardian.ts';
import { ChainWatch, noteBlock } from './chain-watch.ts';
import { ClockDoubt } from './clock-doubt.ts';
import type { ConfigReload } from './config-reload.ts';
import { EarlyWarnings, serversOfStore } from './early-warnings.ts';
import { FolderHold } from './folder-hold.ts';
import { NewsAnswers } from './hear-news.ts';
import { NodeFleet } from './node-fleet.ts';
import { type NodeAddresses, NodeListeners } from './node-listeners.ts';
import { NodeReport } from './node-report.ts';
import { OpenPortFace } from './open-port-face.ts';
import { ownRecordOf } from './own-record.ts';
import type { NodeParts } from './parts.ts';
import { registerIfWanted } from './registration.ts';
import { drainDesk } from './ring/drain-desk.ts';
import type { RingMembership } from './ring/ring-membership.ts';
import { RingPart } from './ring/ring-part.ts';
import { rollbackDesk } from './rollback-desk.ts';
import { Rotation } from './rotation.ts';
import { examineOwnMachine, examineUntilGood, type OwnMachine } from './self-check.ts';
import { buildServing, type Serving } from './serving.ts';
import { warnAtStart } from './start-warnings.ts';
import { StoreWatch } from './store-watch.ts';
import { tellClients, whileHealing } from './tell-clients.ts';

/** Longest time between two checks of the newest block. */
const CHAIN_FOLLOW_MS = 15_000;

/** Decisions of the operator for one start; never in a file. */
export interface NodeOptions {
  /** Open the store although it is older than the last head that was deposited with the servers. */
  readonly acceptRolledBackStore?: boolean;
  /** What the configuration names by its file; `readSecrets` reads them. */
  readonly secrets?: Secrets;
  /** Version of this program, for routes that tell it. */
  readonly version?: string;
  readonly reload?: ConfigReload;
}

/** A running node: the guardian of its own store, and a key server for other nodes. */
export class LatchkeyNode implements AsyncDisposable {
  readonly #config: Config;
  readonly #options: NodeOptions;
  readonly #parts: NodeParts;
  readonly #stop = new AbortController();
  readonly #watch: ChainWatch;
  readonly #report: NodeReport;
  readonly #news: NewsAnswers;
  readonly #hold: FolderHold;
  readonly #rotation: Rotation;
  readonly #storeWatch: StoreWatch;
  readonly #clockDoubt: ClockDoubt;
  readonly #warnings: EarlyWarnings | undefined;
  readonly #fleet: NodeFleet;
  readonly #ring: RingPart;
  readonly #audit: AuditPart;
  #guardian: GuardianRooms['guardian'] | undefined;
  #serving: Serving | undefined;
  #listeners: NodeListeners | undefined;
  #starting: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(config: Config, parts: NodeParts, options: NodeOptions = {}) {
    // Every notified former client listens to this signal.
    setMaxListeners(0, this.#stop.signal);
    this.#options = options;
    this.#config = config;
    this.#parts = parts;
    this.#ring = new RingPart(config, parts);
    this.#audit = new AuditPart(config, parts);
    const { chain, clock, earlyCollateral: early } = parts;
    this.#warnings = early && new EarlyWarnings({ ...parts, early, policy: tdPolicyOf(config.trust) });
    this.#hold = new FolderHold(new NodeFolder(parts.fileSystem, config.node.dataFolder));
    this.#rotation = new Rotation(async () => {
      const generation = await this.rotateStoreKey();
      await this.#audit.noteStoreKey(this.#openNode(), false);
      return generation;
    }, parts.log);
    this.#clockDoubt = new ClockDoubt(() => clock.nowMs());
    this.#storeWatch = new StoreWatch(parts);
    this.#report = new NodeReport(
      { ...parts, storeWatch: this.#storeWatch },
      {
        open: () => this.open,
        serving: () => this.#serving,
        chain: () => this.#watch,
        audit: () => this.#audit.log?.report,
        tcbWarnings: () => this.#warnings?.status(),
        restartRefusal: () => this.#fleet.restartRefusal(),
        ownRecord: () => this.open && ownRecordOf(this.#watch.recordOf(this.open.identity.account)),
        fleet: () => this.#fleet.report(),
        keyslots: () => this.#fleet.keyslots(),
        ring: () => this.#ring.report(),
        reload: () => options.reload?.last,
      },
    );
    this.#watch = new ChainWatch({
      chain,
      clock,
      maxAgeMs: config.trust.freshness.chainHeadMaxAgeMs,
      onSnapshot: (snapshot) => {
        noteBlock(parts, snapshot);
        this.#guardian?.nudge();
      },
    });
    this.#fleet = new NodeFleet(config, parts, this.#watch, {
      open: () => this.open,
      state: () => this.state,
      rotation: this.#rotation,
      onChange: () => this.#guardian?.nudge(),
    });
    this.#news = new NewsAnswers({ records: this.#watch, now: () => clock.nowMs() });
  }

  get state(): NodeState {
    return this.#report.state;
  }

  /** The open node, or `undefined` while the store is closed. */
  get open(): OpenNode | undefined {
    return this.#guardian?.node;
  }

  /** The key server, or `undefined` while the store is closed. */
  get keyServer(): Serving['keyServer'] | undefined {
    return this.#serving?.keyServer;
  }

  /** This node's part in the ring; `undefined` while the store is closed, and where there is no ring. */
  get ring(): RingMembership | undefined {
    return this.#ring.membership;
  }

  /** Addresses in use, once started. */
  get addresses(): NodeAddresses {
    return this.#listeners?.addresses ?? { listen: '', metrics: '', agent: '' };
  }

  /**
   * Takes the data folder and opens the listeners, then boots and heals in the background: the API is up whatever state the store is in.
   * @throws ProblemError LISTEN_FAILED.
   */
  async start(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { log } = this.#parts;
    warnAtStart(this.#parts, this.#config.trust);
    try {
      this.#starting = this.#takeFolder().then(() => this.#listen());
      await this.#starting;
    } catch (error) {
      // The chain's connection would keep the process alive.
      await this.close();
      throw error;
    }
    if (this.#stop.signal.aborted) return;
    log('info', 'node.listening', { ...this.addresses });
    this.#running = this.#run().catch((error: unknown) => {
      log('error', 'node.failed', {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    });
  }

  /** Boots once, without listening or serving; for `latchkey unlock`. Returns the open node, or the state. */
  async unlockOnce(attempts: number): Promise<OpenNode | NodeState> {
    const guardian = await this.#guardianForOnce();
    return (await guardian.open(attempts)) ?? guardian.state;
  }

  /**
   * Gets the store key as a boot does and makes the store of a backup, without listening or serving; for
   * `latchkey restore`. Returns what was restored, or the state when it stays locked.
   * @throws what `restoreNode` throws.
   */
  async restoreOnce(backup: NodeBackup): Promise<RestoredNode | NodeState> {
    const guardian = await this.#guardianForOnce();
    return (await guardian.restore(backup)) ?? guardian.state;
  }

  /**
   * Changes the store key; only the new one opens the store afterwards.
   * @returns the generation of slots under the new key.
   * @throws ProblemError ROTATION_NOT_BACKED, ROTATION_INCOMPLETE, and what chain and store throw.
   */
  async rotateStoreKey(): Promise<number> {
    return this.#examined().rotateStoreKey();
  }

  async #guardianForOnce(): Promise<GuardianRooms['guardian']> {
    await this.#hold.take();
    const machine = await orAborted(examineOwnMachine(this.#parts, this.#config.trust), this.#stop.signal);
    await this.#fleet.watch?.refreshByChain(this.#parts.chain, this.#stop.signal);
    this.#guardian = this.#buildGuardian(machine, { mayStayUnbacked: false }).guardian;
    return this.#guardian;
  }

  /** Finishes requests in flight, wipes keys, closes the store. At any time, and never held up by what hangs. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { log, chain, collateral, earlyCollateral } = this.#parts;
    this.#stop.abort();
    await this.#starting?.catch(() => undefined);
    await this.#listeners?.close();
    this.#serving?.keyServer.wipe();
    this.#ring.close();
    this.#serving?.entropy?.wipe();
    await this.#guardian?.close();
    await this.#running;
    await this.#hold.release();
    this.#watch.close();
    await chain[Symbol.asyncDispose]();
    await collateral.close();
    await earlyCollateral?.close();
    log('info', 'node.stopped', {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    const everyMs = Math.min(CHAIN_FOLLOW_MS, this.#config.healing.intervalMs);
    const following = this.#watch.follow(everyMs, this.#stop.signal, (snapshot) =>
      noteBlock(this.#parts, snapshot),
    );
    following.catch(() => undefined);
    const machine = await examineUntilGood(this.#parts, this.#config.trust, this.#stop.signal, (reason) =>
      this.#report.setState({ name: 'starting', reason }),
    );
    if (machine === undefined || this.#stop.signal.aborted) return;
    const { clock, log } = this.#parts;
    const isHeld = await this.#hold.takePatiently(clock, this.#stop.signal, (error) => {
      const reason = error instanceof LatchkeyError ? `${error.code}: ${error.message}` : String(error);
      const cause = lockedCauseOf(error);
      if (this.#report.state.name !== 'locked') log('error', 'store.locked', { cause, reason });
      this.#report.setState({ name: 'locked', cause, have: 0, need: 1, n: 0, slots: [], reason });
    });
    if (!isHeld) return;
    const rooms = this.#buildGuardian(machine, { mayStayUnbacked: true });
    this.#guardian = rooms.guardian;
    const refreshing = this.#fleet.watch?.follow(this.#config.fleet.intervalMs, this.#stop.signal);
    refreshing?.catch((error: unknown) => this.#parts.log('error', 'fleet.failed', { error: String(error) }));
    const node = await rooms.guardian.open();
    if (node === undefined) return;
    await this.#audit.open(node, machine.description, this.#isOlderDisk(node));
    const used = {
      evidenceVerifier: rooms.evidenceVerifier,
      judge: rooms.judge,
      watch: this.#watch,
      fleet: this.#fleet.watch,
      audit: this.#audit.log,
      version: this.#options.version,
    };
    this.#serving = buildServing(this.#config, this.#parts, node, used);
    await this.#live(rooms, node, this.#serving);
  }

  /** Runs all work of a node with an open store. */
  async #live(rooms: GuardianRooms, node: OpenNode, serving: Serving): Promise<void> {
    const healing = rooms.guardian.heal();
    const aside = (event: string, work: Promise<unknown> | undefined) =>
      whileHealing(this.#parts.log, event, work, this.#stop.signal);
    await aside('served.not-read', serving.formerClients.begin(this.#config.healing.formerClientsDeadlineMs));
    const isReleased = orAborted(node.store.whenReleased, this.#stop.signal);
    const around = { ...rooms, ...serving, node, watch: this.#watch };
    const runRing = () => this.#ring.run({ ...around, isOlderDisk: this.#isOlderDisk(node) });
    const openDecryptions = isReleased.then(() => this.#listeners?.openDecryptions(node.store));
    if (node.store.isReleased) await aside('decryptions.not-open', openDecryptions);
    await Promise.all([
      healing,
      aside('decryptions.not-open', openDecryptions),
      aside('audit.failed', this.#audit.run(node, this.#stop.signal)),
      aside('clients.not-told', tellClients(this.#parts, node, serving, this.#stop.signal)),
      registerIfWanted(this.#config.chain, this.#parts, node.identity, this.#stop.signal),
      aside('fleet.rekey-failed', this.#fleet.rekey(this.#stop.signal)),
      aside('ring.failed', isReleased.then(runRing)),
      aside(
        'tcb.not-judged',
        this.#warnings?.run(() => serversOfStore(this.open, this.#parts.chain), this.#stop.signal),
      ),
    ]);
  }

  #buildGuardian(machine: OwnMachine, options: { readonly mayStayUnbacked: boolean }): GuardianRooms {
    const rooms = buildGuardian(
      this.#config,
      this.#parts,
      { machine, watch: this.#watch, fleet: this.#fleet.watch },
      {
        ...options,
        acceptRolledBackStore: this.#options.acceptRolledBackStore ?? false,
        onState: (state) => this.#report.setState(state),
        holdsFolder: true,
        storeObserver: this.#storeWatch,
        causeOf: (error) => this.#clockDoubt.causeOf(error),
      },
    );
    this.#fleet.examined(rooms, machine.ppid);
    return rooms;
  }

  /** Where another process has the folder, this one listens, reports the cause, and waits until it is free. */
  async #takeFolder(): Promise<void> {
    await this.#hold.take().catch((error: unknown) => {
      if (!(error instanceof LatchkeyError) || error.code === 'CONFIG_INVALID') throw error;
    });
  }

  async #listen(): Promise<void> {
    this.#listeners = await NodeListeners.open(this.#config, this.#parts, {
      face: new OpenPortFace({
        report: this.#report,
        fleet: this.#fleet,
        news: this.#news,
        log: this.#parts.log,
        guardian: () => this.#guardian,
        openNode: () => this.#openNode(),
      }),
      report: this.#report,
      keyServer: () => this.#openServing().keyServer,
      presentKeyServer: () => this.#serving?.keyServer,
      drain: () => drainDesk(this.#openServing().drain, this.#ring.report()),
      ring: () => this.#ring.requireMembership(() => this.#report.lockedProblem()),
      secretService: () => this.#ring.requireSecrets(() => this.#report.lockedProblem()),
      entropy: () => this.#entropy(),
      rotation: () => {
        this.#openServing();
        return this.#rotation;
      },
      custody: () => this.#examined().custody,
      rollback: () => rollbackDesk(this.#examined(), this.#audit),
      audit: () => {
        this.#openServing();
        return this.#audit.requireLog();
      },
      fleet: () => this.#fleet.watch,
      store: () => this.#heldNode().store,
      secrets: this.#options.secrets ?? {},
      watch: this.#watch,
      ending: this.#stop.signal,
    });
  }

  #openNode(): OpenNode {
    const node = this.open;
    if (node === undefined) throw this.#report.lockedProblem();
    return node;
  }

  /** A store that custodians opened is open to others before this instance holds its account. */
  #heldNode(): OpenNode {
    const node = this.#openNode();
    if (!node.store.isReleased) throw this.#report.lockedProblem();
    return node;
  }

  /** Whether a human decided to go on from an older store: at the start, or by the agent's route since. */
  #isOlderDisk({ rollback }: OpenNode): boolean {
    return this.#options.acceptRolledBackStore === true || rollback?.acceptsOlder === true;
  }

  #examined(): GuardianRooms['guardian'] {
    if (this.#guardian === undefined) throw this.#report.lockedProblem();
    return this.#guardian;
  }

  #openServing(): Serving {
    if (this.#serving === undefined) throw this.#report.lockedProblem();
    return this.#serving;
  }

  #entropy(): NonNullable<Serving['entropy']> {
    const { entropy } = this.#openServing();
    if (entropy === undefined) throw this.#report.lockedProblem();
    return entropy;
  }
}
