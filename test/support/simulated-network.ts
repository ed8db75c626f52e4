import { equalBytes } from '../../src/bytes/concat.ts';
import type { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import type { ServerRecord } from '../../src/chain/chain-view.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { eligibleServers } from '../../src/keyslots/choose-servers.ts';
import { KeyslotDisk } from '../../src/keyslots/keyslot-disk.ts';
import type { Generation, KeyslotFile, Slot } from '../../src/keyslots/keyslot-file.ts';
import { thresholdFor } from '../../src/keyslots/threshold.ts';
import type { TrustSection } from '../../src/trust/trust-section.ts';
import { seededDice } from './disk-dice.ts';
import { KeptKeys } from './simulated-network-kept.ts';
import { type MachineOwner, SimulatedNode } from './simulated-network-node.ts';
import { Witness } from './simulated-network-witness.ts';
import { type SignatureMode, SimulatedWorld, type WorldOptions } from './simulated-network-world.ts';

/** Where every machine keeps its keyslot file. */
export const KEYSLOTS = '/data/node/keyslots';

/** How often a network that forms is looked at. */
const FORMING_MS = 1_000;

/** Whether a node must be able to open, and to become backed, if things stay as they are. */
interface Promised {
  readonly openable: boolean;
  readonly backable: boolean;
}

/** A whole network in one process: machines, chain, wire, virtual time. */
export class SimulatedNetwork {
  readonly world: SimulatedWorld;
  readonly nodes: SimulatedNode[] = [];
  /** Records on the chain, by machine. */
  readonly records = new Map<SimulatedNode, ServerRecord>();
  /** Records of servers that are no machine of this network; they take effect with the next {@link publish}. */
  readonly strangers: ServerRecord[] = [];
  /** The last record of every machine, whether or not it is on the chain. */
  readonly #lastRecords = new Map<SimulatedNode, ServerRecord>();
  /** What the host did to a disk, by machine; while there is anything, nothing is promised for its store. */
  readonly tampered = new Map<SimulatedNode, string>();
  /** Whether two machines must accept each other's section and image, once both have heard all manifests. */
  mayTalk: (one: SimulatedNode, other: SimulatedNode) => boolean = () => true;
  readonly #kept: KeptKeys;
  readonly witness: Witness;
  /** The slots of running nodes, and the running nodes, at the last check. */
  readonly #filesBefore = new Map<SimulatedNode, KeyslotFile>();
  #bootsBefore = '';
  #lastCheckMs = 0;
  /** When each machine was last seen to start or to end. */
  readonly #boots = new Map<
    SimulatedNode,
    { readonly boots: number; readonly isRunning: boolean; readonly atMs: number }
  >();
  readonly #lockedFiles = new Map<SimulatedNode, { readonly since: string; readonly digest: string }>();

  constructor(seed: number, mode?: SignatureMode, trust?: TrustSection, options?: WorldOptions) {
    this.world = new SimulatedWorld(seed, mode, trust, options);
    this.#kept = new KeptKeys(this);
    this.witness = new Witness(this);
    this.world.onStart = (node) => this.witness.started(node);
    this.world.onOpened = (node) => this.witness.opened(node);
    this.world.onLie = (node) => this.witness.lies(node);
  }

  /** A new machine, powered off. */
  addMachine(owner: MachineOwner = {}): SimulatedNode {
    const number = this.nodes.length + 1;
    const dice = seededDice(this.world.seed * 1_000 + number);
    const node = new SimulatedNode(this.world, number, (length) => dice.bytes(length), owner);
    this.nodes.push(node);
    this.world.machines = this.nodes;
    return node;
  }

  /** A second machine with a copy of the disk that a machine has now; powered off. */
  addTwin(node: SimulatedNode): SimulatedNode {
    this.#kept.forget(node);
    return this.addMachine({ twinOf: node });
  }

  /** Whether another machine has a copy of this one's disk, or this one of another's. */
  isTwin(node: SimulatedNode): boolean {
    return node.twinOf !== undefined || this.nodes.some(({ twinOf }) => twinOf === node);
  }

  /** Starts `count` machines, registers them, and waits: 20 s or, when it is `brief`, until all are backed. */
  async form(count: number, { brief = false } = {}): Promise<void> {
    for (let index = 0; index < count; index++) this.addMachine().start();
    await this.world.clock.advance(1_000);
    for (const node of this.nodes) await this.register(node);
    const isFormed = () => brief && this.nodes.every(({ state }) => state.name === 'backed');
    for (let left = 20_000; left > 0 && !isFormed(); left -= FORMING_MS) await this.settle(FORMING_MS);
  }

  /** Puts a machine's record on the chain, or brings it up to date. */
  async register(node: SimulatedNode): Promise<void> {
    // An account has one record: that of the machine that was there first.
    if (node.twinOf !== undefined) return;
    const known = this.#lastRecords.get(node);
    const mine = node.open?.identity.account;
    const fits = known !== undefined && (mine === undefined || equalBytes(known.account, mine));
    if (!fits && mine === undefined) return;
    const record = fits ? { ...known, endpoint: node.endpoint } : await this.world.clock.until(node.record());
    this.records.set(node, record);
    this.#lastRecords.set(node, record);
    this.publish();
  }

  /** Takes a machine's record off the chain. */
  deregister(node: SimulatedNode): void {
    this.records.delete(node);
    this.publish();
  }

  publish(): void {
    this.world.chain.set({
      servers: [...this.records.values(), ...this.strangers],
      timestampMs: this.world.clock.nowMs(),
    });
  }

  /** Lets time pass, with a block every half minute. */
  async settle(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= 30_000) {
      await this.world.clock.advance(Math.min(left, 30_000));
      this.world.nextBlock();
    }
  }

  /** Whether one machine's server answers another as it should; on a path, or on all. */
  serves(server: SimulatedNode | undefined, client: SimulatedNode, path?: string): server is SimulatedNode {
    if (server?.keyServer === undefined) return false;
    const { misbehaviour, cut, dropped } = this.world.wire;
    const behaviour = misbehaviour.get(server.endpoint) ?? 'none';
    return (
      (behaviour === 'none' || behaviour === 'slow') &&
      // A slot that exists is proved by its key alone.
      (path !== undefined || (this.mayTalk(server, client) && this.#knows(server, client))) &&
      !cut.has(`${client.name}>${server.endpoint}`) &&
      ![...dropped].some(
        (route) =>
          route.from === client.name &&
          route.endpoint === server.endpoint &&
          (path === undefined || (route.path ?? path) === path),
      ) &&
      this.records.get(server)?.endpoint === server.endpoint
    );
  }

  /** Whether the chain that a server sees has the record of a client: its host may hide it. */
  #knows({ chain: { forge } }: SimulatedNode, client: SimulatedNode): boolean {
    const record = this.records.get(client);
    if (forge === undefined || record === undefined) return true;
    return forge([...this.records.values()]).includes(record);
  }

  #machineOf(account: Uint8Array): SimulatedNode | undefined {
    return [...this.records].find(([, record]) => equalBytes(record.account, account))?.[0];
  }

  /** How many slots of its best generation a closed node can get at this moment, less t; `undefined` without file. */
  async spareSlots(node: SimulatedNode): Promise<number | undefined> {
    try {
      const file = await new KeyslotDisk(node.disk, KEYSLOTS).read();
      const holds = (slot: Slot): boolean => {
        const server = this.#machineOf(slot.server);
        if (!this.serves(server, node) || server.lies.has(toHex(slot.slotId))) return false;
        return (
          server.keyServer?.vault.find(file.account, slot.slotId, this.world.clock.nowMs()) !== undefined
        );
      };
      return Math.max(...file.generations.map(({ slots, t }) => slots.filter(holds).length - t));
    } catch {
      return undefined;
    }
  }

  /** Whether n servers, none of which drains, could give a node slots now. */
  canBeBacked(node: SimulatedNode): boolean {
    const account = node.open?.identity.account;
    // The host's servers count as servers, and are none.
    if (account === undefined || this.strangers.length > 0) return false;
    const eligible = eligibleServers({ servers: [...this.records.values()] }, { account });
    const quorum = thresholdFor(eligible.length, { bootstrap: false });
    if (quorum === undefined) return false;
    const usable = eligible.filter((record) => {
      const server = this.#machineOf(record.account);
      return this.serves(server, node) && !server.isDraining && !server.inventsMarks;
    });
    return usable.length >= quorum.n;
  }

  /** To be called when a node has gone down: notes which keys of its keyslot file live. */
  async wentDown(node: SimulatedNode): Promise<void> {
    // The other instance may have keys forgotten.
    if (!this.isTwin(node)) await this.#kept.wentDown(node);
  }

  /** Invariant: while a store is locked nothing of its folder changes, and no folder of a node ever goes away. */
  checkDisks(): void {
    for (const node of this.nodes) {
      if (node.state.name !== 'locked') {
        this.#lockedFiles.delete(node);
        continue;
      }
      const digest = folderDigest(node);
      // Between two checks it may have been open for a moment, until a server showed that its disk is an older one.
      const since = `${node.boots} ${node.unlockings}`;
      const before = this.#lockedFiles.get(node);
      if (before?.since === since && before.digest !== digest) {
        this.world.fail(`${node.name} changed its disk while it was locked`);
      }
      this.#lockedFiles.set(node, { since, digest });
    }
  }

  /**
   * Invariant: a running node gives a generation up only when all n slots of a newer one are kept, or when it must give
   * up one of two; then never one that may still open the store for one that certainly cannot.
   */
  checkSlots(): void {
    const bootsNow = this.nodes.map(({ boots, isRunning }) => `${boots}${isRunning}`).join();
    const isCalm = bootsNow === this.#bootsBefore;
    this.#bootsBefore = bootsNow;
    this.#noteBoots();
    const checkMs = this.world.clock.nowMs();
    for (const node of this.nodes) {
      const before = this.#filesBefore.get(node);
      const file = node.open?.book.file;
      this.#filesBefore.delete(node);
      if (file === undefined || this.isTwin(node)) continue;
      this.#filesBefore.set(node, file);
      if (before === undefined || !isCalm) continue;
      const [newest, older] = file.generations;
      const lost = newest.slots.filter((slot) => this.#keeping(file.account, [slot]).length === 0);
      // A look at all servers takes its time, and one that has answered may end before the look does.
      const isWhole =
        newest.slots.length === newest.n && lost.every(({ server }) => this.#hasJustEnded(server));
      const isIn = ({ generation }: Generation) =>
        file.generations.some((other) => other.generation === generation);
      for (const gone of before.generations.filter((generation) => !isIn(generation))) {
        // With two new generations since, more was known at the time than can be told now.
        if (isWhole || newest.generation > before.generations[0].generation + 1) continue;
        const isBetter = mayOpen(gone, newest) && older !== undefined && !mayOpen(older, newest);
        if (older !== undefined && !isBetter) continue;
        this.world.fail(`${node.name} gave up generation ${gone.generation}: ${describe(node)}`);
      }
    }
    this.#lastCheckMs = checkMs;
  }

  #noteBoots(): void {
    const atMs = this.world.clock.nowMs();
    for (const node of this.nodes) {
      const known = this.#boots.get(node);
      if (known?.boots !== node.boots || known.isRunning !== node.isRunning)
        this.#boots.set(node, { boots: node.boots, isRunning: node.isRunning, atMs });
    }
  }

  /** Whether the process of a server had ended at the last check within the time that a look at all servers may take. */
  #hasJustEnded(server: Uint8Array): boolean {
    const node = this.#machineOf(server);
    const changed = node === undefined ? undefined : this.#boots.get(node);
    const { peerDeadlineMs } = this.world.config.healing;
    return changed !== undefined && this.#lastCheckMs - changed.atMs < 2 * peerDeadlineMs;
  }

  /** The running machines that hold the true key of these slots. */
  #keeping(account: AccountId, slots: readonly Slot[]): readonly SimulatedNode[] {
    const nowMs = this.world.clock.nowMs();
    return slots.flatMap(({ server, slotId }) =>
      this.nodes.filter(
        ({ open, keyServer, lies }) =>
          open !== undefined &&
          equalBytes(open.identity.account, server) &&
          !lies.has(toHex(slotId)) &&
          keyServer?.vault.find(account, slotId, nowMs) !== undefined,
      ),
    );
  }

  /** Invariant: a server that reports the end of its drain holds no key of any keyslot file. */
  checkDrains(): void {
    for (const server of this.nodes) {
      const progress = server.serving?.drain.progress();
      // Clients without a record, as a host may show the chain, are counted apart, and the operator is told of them.
      if (progress?.remaining !== 0 || progress.unmovable > 0) continue;
      for (const node of this.#needing(server)) {
        this.world.fail(`${server.name} says that nobody needs it, and ${node.name} does: ${describe(node)}`);
      }
    }
  }

  /** Machines that have a slot in their keyslot file with a key at this server. */
  #needing(server: SimulatedNode): readonly SimulatedNode[] {
    return this.nodes.filter((node) => {
      if (this.isTwin(node)) return false;
      const file = node.open?.book.file;
      if (node.open === undefined && this.tampered.has(node)) return false;
      if (node.open === undefined) return this.#kept.isHeldBy(server, node);
      const slots = file?.generations.flatMap((generation) => generation.slots) ?? [];
      return file !== undefined && this.#keeping(file.account, slots).includes(server);
    });
  }

  /** All invariants that hold at any time. */
  check(): void {
    this.checkDisks();
    this.#kept.check();
    this.checkSlots();
    this.checkDrains();
    for (const node of this.nodes) {
      if (node.state.name === 'fenced' && !this.witness.hasNewerInstance(node))
        this.world.fail(`${node.name} is fenced, and there is no newer instance`);
    }
  }

  /** Drops the recorded content of a locked disk, because the host will change it. */
  hostTouches(node: SimulatedNode): void {
    this.#lockedFiles.delete(node);
  }

  /**
   * Invariants of liveness over a stretch of time in which nothing happens. A node that can open at its beginning and at
   * its end is open at its end. A node that could be backed in all of it is backed, without the servers that drained in
   * all of it. A node that reports `backed` is. A `brief` stretch ends as soon as all of this has held for a while.
   */
  async quietStretch(milliseconds: number, { brief = false } = {}): Promise<void> {
    const before = new Map<SimulatedNode, Promised>();
    for (const node of this.nodes) before.set(node, await this.#promised(node));
    // Who drains again and again is left more slowly each time.
    const draining = this.nodes.filter(({ isDraining, drains }) => isDraining && drains <= 2);
    // A server that restarts again and again is replaced after eight times the patience.
    const restarts = Math.max(...this.nodes.map(({ boots }) => boots - 1));
    const extraMs = restarts > 1 ? 8 * this.world.config.healing.patienceMs : 0;
    const found = () => this.#broken(before, draining);
    if (brief) await this.#settleUntilKept(milliseconds + extraMs, found);
    else await this.settle(milliseconds + extraMs);
    this.check();
    for (const violation of await found()) this.world.fail(violation);
  }

  /** Lets time pass until nothing is broken, twice in a row; at most so long. */
  async #settleUntilKept(milliseconds: number, broken: () => Promise<readonly string[]>): Promise<void> {
    // Longer than the interval of the slot checks, so that every node has looked at its slots in between.
    const sliceMs = this.world.config.healing.intervalMs + 2_000;
    let kept = 0;
    for (let left = milliseconds; left > 0 && kept < 2; left -= sliceMs) {
      await this.settle(Math.min(left, sliceMs));
      kept = (await broken()).length === 0 ? kept + 1 : 0;
    }
  }

  /** Which of the promises of a quiet stretch do not hold now. */
  async #broken(
    before: ReadonlyMap<SimulatedNode, Promised>,
    draining: readonly SimulatedNode[],
  ): Promise<readonly string[]> {
    const broken: string[] = [];
    for (const node of this.nodes) {
      const was = before.get(node);
      const is = await this.#promised(node);
      if (was?.openable && is.openable && node.state.name === 'locked') {
        broken.push(`${node.name} stays locked though t of its servers remember: ${describe(node)}`);
      }
      if (node.state.name === 'backed' && !this.isTwin(node) && !this.#isBacked(node)) {
        broken.push(`${node.name} says that it is backed, and is not: ${describe(node)}`);
      }
      if (!was?.backable || !is.backable) continue;
      if (node.state.name !== 'backed') {
        broken.push(`${node.name} is ${node.state.name}, though n servers can be reached: ${describe(node)}`);
      }
      for (const server of draining.filter(({ isDraining }) => isDraining)) {
        if (!this.#serversOf(node).includes(server)) continue;
        broken.push(`${node.name} stays at ${server.name}, which drains: ${describe(node)}`);
      }
    }
    return broken;
  }

  /** Whether servers that serve this node keep all n slots of its newer generation. */
  #isBacked(node: SimulatedNode): boolean {
    const file = node.open?.book.file;
    if (file === undefined) return false;
    const [{ slots, n }] = file.generations;
    return (
      this.#keeping(file.account, slots).filter((server) => this.serves(server, node, '/key-status'))
        .length === n
    );
  }

  /** The machines that hold a slot of a running node's newer generation. */
  #serversOf({ open }: SimulatedNode): readonly SimulatedNode[] {
    const file = open?.book.file;
    return file === undefined ? [] : this.#keeping(file.account, file.generations[0].slots);
  }

  async #promised(node: SimulatedNode): Promise<Promised> {
    const isFooled = this.tampered.has(node) || this.isTwin(node) || node.chain.forge !== undefined;
    if (!node.isRunning || isFooled) return { openable: false, backable: false };
    // An account that has left the chain gets nothing until it is back.
    const isKnown = this.records.has(node) || !this.#lastRecords.has(node);
    const openable = isKnown && node.open === undefined && ((await this.spareSlots(node)) ?? -1) >= 0;
    return { openable, backable: node.state.name !== 'fenced' && this.canBeBacked(node) };
  }

  /** Ends all processes. */
  async close(): Promise<void> {
    for (const node of this.nodes) await this.world.clock.until(node.stop());
  }
}

/** Whether so few slots of a generation are proved to be lost, by newer keys of other processes, that it may open. */
const mayOpen = ({ slots, t }: Generation, newest: Generation): boolean =>
  slots.filter(
    ({ server, instanceId }) =>
      !newest.slots.some(
        (other) => equalBytes(other.server, server) && !equalBytes(other.instanceId, instanceId),
      ),
  ).length >= t;

function describe({ state, events }: SimulatedNode): string {
  const slots = 'slots' in state ? state.slots.map(({ standing }) => standing) : [];
  return JSON.stringify({ state: state.name, slots, last: events.slice(-6) });
}

/** Digest over all files of a node's folder. */
export function folderDigest(node: SimulatedNode): string {
  const parts = [...node.disk.files()]
    .filter(([path]) => path.startsWith('/data/node/'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, bytes]) => `${path}:${toHex(sha256(bytes))}`);
  return parts.join('\n');
}
