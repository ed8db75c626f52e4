import { setMaxListeners } from 'node:events';
import type { CustodyDesk } from '../../src/boot/life/custody-desk.ts';
import type { Guardian } from '../../src/boot/life/guardian.ts';
import type { NodeState } from '../../src/boot/node/node-state.ts';
import type { OpenNode } from '../../src/boot/node/open-node.ts';
import { PeerClient } from '../../src/boot/peer/peer-client.ts';
import { PeerError } from '../../src/boot/peer/peer-failure.ts';
import type { PeerTransport } from '../../src/boot/peer/peer-transport.ts';
import { AccountId, InstanceId, Nonce, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import type { ChainSnapshot, ServerRecord } from '../../src/chain/chain-view.ts';
import { generateX25519KeyPair } from '../../src/crypto/x25519.ts';
import { AdmissionQueue } from '../../src/keyserver/admission-queue.ts';
import { KeyServer, type KeyServerParts } from '../../src/keyserver/key-server.ts';
import { OwnAttestation } from '../../src/keyserver/own-attestation.ts';
import { Vault } from '../../src/keyserver/vault.ts';
import { buildGuardian } from '../../src/node/build-guardian.ts';
import { ChainWatch } from '../../src/node/chain-watch.ts';
import { FleetRekey } from '../../src/node/fleet-rekey.ts';
import { type FleetWatch, fleetWatchOf } from '../../src/node/fleet-watch.ts';
import { NewsAnswers } from '../../src/node/hear-news.ts';
import { Rotation } from '../../src/node/rotation.ts';
import { buildServing, type Serving } from '../../src/node/serving.ts';
import { tellClients, whileHealing } from '../../src/node/tell-clients.ts';
import { MainLoop } from '../../src/observe/main-loop.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { ChallengeIssuer } from '../../src/protocol/challenge.ts';
import type { QuoteSource } from '../../src/quote-source/quote-source.ts';
import { FlooredClock } from '../../src/time/clock.ts';
import { measurementId } from '../../src/trust/measurement.ts';
import { registrationContext, registrationReportData } from '../../src/trust/registration.ts';
import type { TrustSection } from '../../src/trust/trust-section.ts';
import type { Survival } from './disk-survival.ts';
import { memoryOf, unknownAccounts } from './server-memory.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { SeenChain } from './simulated-network-chain.ts';
import { handlerOf } from './simulated-network-handler.ts';
import type { Handler } from './simulated-network-wire.ts';
import { bodyUnder, type SimulatedWorld } from './simulated-network-world.ts';

/** Making a quote takes this long in virtual time. */
const QUOTE_MS = 200;

/** What lives and dies with one process. */
interface Process {
  readonly guardian: Guardian;
  readonly stop: AbortController;
  readonly watch: ChainWatch;
  readonly running: Promise<void>;
  readonly fleet: FleetWatch | undefined;
  readonly rekey: FleetRekey;
  alive: boolean;
  /** Whether requests of the process still leave: when it is stopped, until it has closed everything. */
  sends: boolean;
  serving: Serving | undefined;
}

/** Owner of a machine; by default every machine is a platform and a stash of its own. */
export interface MachineOwner {
  readonly platform?: number;
  readonly stash?: AccountId;
  /** This machine begins with a copy of the disk of that one. */
  readonly twinOf?: SimulatedNode;
}

/** One machine of the network: a platform, a disk, and at times a process. */
export class SimulatedNode {
  readonly #world: SimulatedWorld;
  readonly name: string;
  readonly platform: number;
  readonly stash: AccountId;
  readonly random: (length: number) => Uint8Array;
  endpoint: string;
  disk = new SimulatedDisk();
  /** Receives the logs, for tests that read them. */
  readonly events: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[] = [];
  state: NodeState = { name: 'stopped' };
  /** Done before every quote of this machine is made; a test may let it hang or fail. */
  beforeQuote: () => Promise<void> = async () => undefined;
  /** How many processes ran so far. */
  boots = 0;
  /** How often a process of this machine opened its store. */
  openings = 0;
  /** How often its store was opened after it was locked, also for a moment. */
  unlockings = 0;
  /** How often its store key was changed. */
  keyChanges = 0;
  /** How often this process was drained. */
  drains = 0;
  /** The chain as this machine sees it. */
  readonly chain: SeenChain;
  /** The machine whose disk was copied for this one. */
  readonly twinOf: SimulatedNode | undefined;
  /** Slot ids (hex) for which this process gives wrong keys. */
  readonly lies = new Set<string>();
  /** Whether this process shows marks that its clients never made. */
  inventsMarks = false;
  /** The trust section of this machine from its next start on, where it has another one than the network. */
  trust: TrustSection | undefined;
  /** Number of its image from its next start on. */
  image = 0;
  /** The manifests of the process. */
  fleet: FleetWatch | undefined;
  /** Added to the time that this server tells its clients, in milliseconds. */
  timeLieMs = 0;
  /** Whether its processes are started with `--accept-rolled-back-store`. */
  acceptsOlderStore = false;
  /** How far the clock of the machine is ahead, in milliseconds; negative when it is behind. */
  clockSkewMs = 0;
  /** What the process measures. */
  #body: ReturnType<typeof bodyUnder> | undefined;
  #process: Process | undefined;
  #placed: Parameters<SimulatedWorld['wire']['place']>[1];

  constructor(
    world: SimulatedWorld,
    number: number,
    random: (length: number) => Uint8Array,
    owner: MachineOwner = {},
  ) {
    this.#world = world;
    this.name = `node-${number}`;
    this.platform = owner.platform ?? number;
    this.random = random;
    const stash = AccountId.of(random(32));
    this.stash = owner.stash ?? stash;
    this.chain = new SeenChain(world.chain);
    this.twinOf = owner.twinOf;
    if (owner.twinOf !== undefined) this.disk = owner.twinOf.disk.clone().afterKill();
    this.endpoint = `10.0.0.${number}:3001`;
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  /** The open node, or `undefined` while the store is closed. */
  get open(): OpenNode | undefined {
    return this.#process?.guardian.node;
  }

  /** Where custodians open the store of this machine while it is locked. */
  get custody(): CustodyDesk {
    if (this.#process === undefined) throw new Error(`${this.name} does not run`);
    return this.#process.guardian.custody;
  }

  /** Accepts the loss of what refused the store, as `latchkey accept-rollback` does. */
  acceptRollback(): void {
    this.#process?.guardian.acceptOlderStore();
  }

  /** Changes the store key, as `latchkey rotate` does. */
  async rotateStoreKey(): Promise<number> {
    if (this.#process === undefined) throw new Error(`${this.name} does not run`);
    const { guardian } = this.#process;
    const generation = await guardian.rotateStoreKey();
    this.keyChanges++;
    if (guardian.node !== undefined) this.#world.keyChanged(guardian.node);
    return generation;
  }

  get rekey(): FleetRekey | undefined {
    return this.#process?.rekey;
  }

  /** Starts a slot check now. */
  nudge(): void {
    this.#process?.guardian.nudge();
  }

  get keyServer(): KeyServer | undefined {
    return this.#process?.serving?.keyServer;
  }

  /** The keys in the memory of its process, secrets included. */
  get memory(): Vault | undefined {
    return this.keyServer === undefined ? undefined : memoryOf(this.keyServer);
  }

  get serving(): Serving | undefined {
    return this.#process?.serving;
  }

  get isDraining(): boolean {
    return this.keyServer?.vault.isDraining ?? false;
  }

  /** Drains the server, as `latchkey drain` does. */
  drain(): void {
    this.drains++;
    this.serving?.drain.start();
  }

  /** What the process measures; before the first one, the first image under the section of the network. */
  get body(): ReturnType<typeof bodyUnder> {
    return this.#body ?? this.#world.body;
  }

  /** A quote source of this machine; every quote that it makes is known as genuine. */
  get quotes(): QuoteSource {
    const { pki, clock, genuineQuotes } = this.#world;
    return {
      quote: async (reportData) => {
        await clock.sleep(QUOTE_MS);
        await this.beforeQuote();
        const quote = pki.quote({ reportData, platform: this.platform, body: this.body });
        genuineQuotes.set(Buffer.from(quote).toString('base64'), this.name);
        return quote;
      },
    };
  }

  /** Powers the machine on. */
  start(expectedAccount?: AccountId): void {
    if (this.#process !== undefined) throw new Error(`${this.name} runs already`);
    this.#world.onPower(this);
    this.boots++;
    this.drains = 0;
    this.#world.onStart(this);
    const { chain } = this;
    const { clock: time, verifier, collateral, wire, pki, changedCustody } = this.#world;
    const { trust = this.#world.config.trust } = this;
    // Stories that change a setting of the section for all machines at once leave what they measure.
    const isFirst = this.trust === undefined && this.image === 0;
    this.#body = isFirst ? this.#world.body : bodyUnder(trust, this.image);
    const config = { ...this.#world.config, trust };
    const { ppid } = pki.platform(this.platform).facts;
    const clock = new FlooredClock({
      nowMs: () => time.nowMs() + this.clockSkewMs,
      monotonicMs: () => time.nowMs(),
      sleep: (milliseconds, signal) => time.sleep(milliseconds, signal),
    });
    const log = (_level: string, event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      this.events.push({ event, fields });
      if (this.events.length > 200) this.events.shift();
    };
    const transport = this.#transport(() => self?.sends ?? true);
    const client = new PeerClient({
      transport,
      clock,
      random: this.random,
      deadlineMs: config.healing.peerDeadlineMs,
    });
    let self: Process | undefined;
    const noteBlock = ({ block }: ChainSnapshot): void => {
      if (block.timestampMs !== undefined) clock.raise(block.timestampMs);
    };
    const watch = new ChainWatch({
      chain,
      clock,
      maxAgeMs: config.trust.freshness.chainHeadMaxAgeMs,
      onSnapshot: (snapshot) => {
        noteBlock(snapshot);
        self?.guardian.nudge();
      },
    });
    const now = () => clock.nowMs();
    const parts = {
      log,
      metrics: new Metrics(),
      mainLoop: new MainLoop(() => 0),
      clock,
      random: this.random,
      fileSystem: this.disk,
      verifier,
      collateral,
      chain,
      quotes: this.quotes,
      client,
      fetch: (url: string) => this.#manifestsAt(url),
    };
    const fleet = fleetWatchOf(config, parts, watch, () => self?.guardian.nudge());
    this.fleet = fleet;
    const { guardian, evidenceVerifier, judge } = buildGuardian(
      expectedAccount === undefined
        ? config
        : { ...config, node: { ...config.node, expectedAccount: encodeSs58(expectedAccount) } },
      parts,
      {
        machine: {
          measurement: measurementId(this.body),
          ppid,
          description: {},
        },
        watch,
        ...(fleet === undefined ? { platformLists: () => this.#world.platformLists } : { fleet }),
      },
      {
        mayStayUnbacked: true,
        acceptRolledBackStore: this.acceptsOlderStore,
        ...(changedCustody === undefined ? {} : { custody: { ...changedCustody, platform: ppid } }),
        onState: (state) => {
          if (self !== undefined && self !== this.#process) return;
          if (this.state.name === 'locked' && state.name !== 'locked') this.unlockings++;
          this.state = state;
        },
      },
    );
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    void watch.follow(config.healing.intervalMs, stop.signal, noteBlock);
    void fleet?.follow(config.fleet.intervalMs, stop.signal);
    const rekey = new FleetRekey({
      ...parts,
      wanted: () => fleet?.granting().rekey,
      node: () => guardian.node,
      isBacked: () => this.state.name === 'backed',
      rotation: new Rotation(() => this.rotateStoreKey(), log),
    });
    const run = async (): Promise<void> => {
      const node = await guardian.open();
      if (node === undefined || self === undefined || !self.alive) return;
      const serving = buildServing(config, { ...parts, clock: this.#liarsClock(clock) }, node, {
        evidenceVerifier,
        judge,
        watch,
        fleet,
      });
      self.serving = serving;
      const answers = new NewsAnswers({ records: watch, now });
      this.openings++;
      this.#world.opened(this, node);
      this.#placed = {
        serve: handlerOf(serving.keyServer, (news) => {
          // Each server has an address of its own.
          const heard = answers.hear(node, news, toHex(news.server));
          if (heard.enrolled && 'nonce' in news) guardian.look();
          else if (heard.enrolled) guardian.nudge();
          return heard;
        }),
        impostor: this.#impostor(serving.keyServer, { evidenceVerifier, judge, now }),
      };
      wire.place(this.endpoint, this.#placed);
      const healing = guardian.heal();
      const reading = serving.formerClients.begin(config.healing.formerClientsDeadlineMs);
      await whileHealing(log, 'served.not-read', reading, stop.signal);
      const telling = tellClients(parts, node, serving, stop.signal);
      const rekeying = fleet === undefined ? undefined : rekey.run(stop.signal);
      await Promise.all([
        healing,
        whileHealing(log, 'clients.not-told', telling, stop.signal),
        whileHealing(log, 'fleet.rekey-failed', rekeying, stop.signal),
      ]);
    };
    self = {
      guardian,
      stop,
      watch,
      alive: true,
      sends: true,
      serving: undefined,
      running: Promise.resolve(),
      fleet,
      rekey,
    };
    this.#process = self;
    this.state = guardian.state;
    // Operations after the loss of the disk or of the power fail, and the failures are not reported.
    const running = run().catch((error: unknown) => {
      if (self?.alive) this.#world.fail(`${this.name} crashed: ${String(error)}`);
    });
    this.#process = Object.assign(self, { running });
  }

  /** Moves the machine to another address; its chain record is not touched. */
  move(endpoint: string): void {
    const { wire } = this.#world;
    wire.place(this.endpoint, undefined);
    this.endpoint = endpoint;
    if (this.#placed !== undefined) wire.place(endpoint, this.#placed);
  }

  /** From now on the process gives wrong keys for every slot that it holds. */
  startLying(): void {
    this.#world.onLie(this);
    for (const { key, slotId } of this.memory?.keys() ?? []) {
      // Altered twice it would be the true key again.
      if (this.lies.has(toHex(slotId))) continue;
      const bytes = key.reveal();
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      this.lies.add(toHex(slotId));
    }
  }

  /** From now on the process reports incarnations and log heads that its clients never had. */
  inventMarks(): void {
    this.#world.onLie(this);
    this.inventsMarks = true;
    for (const { lineage } of this.memory?.keys() ?? []) {
      if (lineage === undefined) continue;
      const from = { number: lineage.facts.shown.number + 1_000_000, bootId: this.random(16) };
      lineage.show(from);
      lineage.deposit(from, { sequence: 1_000_000, digest: this.random(32) });
    }
  }

  /** Ends the process as a crash does: memory gone, and of what was not synced only what survives. */
  async kill(survival: Survival | 'process-only' = 'process-only', seed = 1): Promise<void> {
    const dead = this.disk;
    dead.cutAt(dead.steps + 1);
    await this.#end({ mayFinish: false });
    this.disk = survival === 'process-only' ? dead.afterKill() : dead.afterPowerCut(survival, seed);
  }

  /** Ends the process as SIGTERM does. */
  async stop(): Promise<void> {
    await this.#end({ mayFinish: true });
    this.disk = this.disk.afterKill();
  }

  async #end({ mayFinish }: { readonly mayFinish: boolean }): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    this.#process = undefined;
    this.#placed = undefined;
    this.lies.clear();
    this.inventsMarks = false;
    process.alive = false;
    process.sends = mayFinish;
    this.#world.wire.place(this.endpoint, undefined);
    process.stop.abort();
    process.watch.close();
    process.serving?.keyServer.wipe();
    await process.guardian.close().catch(() => undefined);
    process.sends = false;
    this.state = { name: 'stopped' };
  }

  /** This machine's record for the chain, with a registration quote of its own. */
  async record(active = true): Promise<ServerRecord> {
    const node = this.open;
    if (node === undefined) throw new Error(`${this.name} has no identity yet`);
    const { account, x25519PublicKey } = node.identity;
    const nonce = Nonce.of(this.random(32));
    const { validate } = registrationContext;
    const quote = await this.quotes.quote(registrationReportData(account, x25519PublicKey, validate, nonce));
    return {
      stash: this.stash,
      account,
      x25519PublicKey,
      endpoint: this.endpoint,
      quote,
      active,
      signer: false,
    };
  }

  /** The clock of the key server only; it may give its clients a wrong time. */
  #liarsClock(clock: FlooredClock): FlooredClock {
    return new FlooredClock({
      nowMs: () => clock.nowMs() + this.timeLieMs,
      monotonicMs: () => clock.monotonicMs(),
      sleep: (milliseconds, signal) => clock.sleep(milliseconds, signal),
    });
  }

  /** What a source of manifests shows this machine: its own one, or `GET /fleet` of a server. */
  async #manifestsAt(url: string): Promise<Response> {
    const { host, searchParams } = new URL(url);
    const silent = new Response('', { status: 404 });
    const hidden = this.#world.hidesManifests(this.name);
    if (host === 'manifests.invalid' || hidden !== undefined) {
      const text = hidden ?? this.#world.manifestsFor(this.name);
      return text === undefined ? silent : new Response(text);
    }
    const server = this.#world.machines.find(({ endpoint, isRunning }) => endpoint === host && isRunning);
    if (server?.fleet === undefined) return silent;
    return Response.json(server.fleet.answer(searchParams.get('known') ?? undefined));
  }

  /** The wire, for as long as the process lives. */
  #transport(isAlive: () => boolean): PeerTransport {
    const inner = this.#world.wire.transportFrom(this.name);
    return {
      send: async (endpoint, path, body, signal) => {
        if (!isAlive()) throw new PeerError({ kind: 'unreachable', detail: 'the process is gone' });
        return inner.send(endpoint, path, body, signal);
      },
    };
  }

  /** A genuine machine that pretends to be this server, but has another X25519 key. */
  #impostor(
    genuine: KeyServer,
    { evidenceVerifier, judge, now }: Pick<KeyServerParts, 'evidenceVerifier' | 'judge' | 'now'>,
  ): Handler {
    const x25519 = generateX25519KeyPair();
    const x25519PublicKey = X25519PublicKey.of(x25519.publicKey);
    const { account } = genuine.identity;
    const instanceId = InstanceId.of(this.random(16));
    const finalized = () => ({ number: this.#world.blockNumber, hash: this.#world.blockHash });
    const nothing = () => undefined;
    const fake = new KeyServer({
      admission: new AdmissionQueue({
        random: this.random,
        monotonicMs: () => this.#world.clock.nowMs(),
      }),
      identity: { account, x25519, x25519PublicKey, instanceId },
      challenges: new ChallengeIssuer({ random: this.random }),
      evidenceVerifier,
      judge,
      vault: new Vault(this.random, unknownAccounts),
      attestation: new OwnAttestation({
        identity: { server: account, x25519PublicKey, instanceId },
        quotes: this.quotes,
        finalized,
        intervalMs: 60_000,
      }),
      finalized,
      now,
      log: nothing,
      onRelease: nothing,
      onRefusal: nothing,
      onBusy: nothing,
      onServed: nothing,
      onForgotten: nothing,
    });
    return handlerOf(fake, () => ({ enrolled: true }));
  }
}
