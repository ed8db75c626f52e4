import { createDevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { toHex } from '../../src/bytes/hex.ts';
import type { ServerRecord } from '../../src/chain/chain-view.ts';
import type { Dice } from './disk-dice.ts';
import { hostMadeDisk } from './host-made-disk.ts';
import { HostMadeServer } from './host-made-server.ts';
import type { SimulatedDisk } from './simulated-disk.ts';
import { KEYSLOTS, type SimulatedNetwork } from './simulated-network.ts';
import type { ForgeRecords } from './simulated-network-chain.ts';
import type { SimulatedNode } from './simulated-network-node.ts';

/** The one platform whose attestation key a server operator holds. */
const EXTRACTED_PLATFORM = 60;
const MAX_TWINS = 2;
const foreignPki = createDevelopmentPki({ seed: new Uint8Array(32).fill(99) });

/** Routes that a host drops alone. */
const routes = [
  '/forget',
  '/lineage-update',
  '/key-status',
  '/claim',
  '/reserve',
  '/lineage-status',
  '/request-encryption-key',
  '/attestation',
] as const;

/** What hosts and server operators do in one life of a network, against nodes and their disks. */
export class Hosts {
  readonly #network: SimulatedNetwork;
  readonly #dice: Dice;
  readonly #life: {
    readonly note: (what: string, node: SimulatedNode) => void;
    readonly down: (node: SimulatedNode) => Promise<void>;
    readonly up: (node: SimulatedNode) => void;
  };
  /** What the host has put aside, by machine. */
  readonly #copies = new Map<SimulatedNode, SimulatedDisk>();
  /** The disk as it was before the host touched it. */
  /** The disk before the host touched it, and how often the node had opened its store by then. */
  readonly #trueDisks = new Map<SimulatedNode, { readonly disk: SimulatedDisk; readonly openings: number }>();
  #servers = 0;

  constructor(
    network: SimulatedNetwork,
    life: {
      readonly note: (what: string, node: SimulatedNode) => void;
      readonly down: (node: SimulatedNode) => Promise<void>;
      readonly up: (node: SimulatedNode) => void;
    },
  ) {
    this.#network = network;
    this.#dice = network.world.dice;
    this.#life = life;
  }

  /** The host of one machine copies, rolls back, swaps, spoils or deletes. */
  async trick(): Promise<void> {
    const node = this.#any((candidate) => !this.#network.tampered.has(candidate));
    if (node === undefined) return;
    if (!this.#copies.has(node) || this.#dice.chance(0.2)) {
      this.#copies.set(node, node.disk.clone());
      this.#life.note('host copies the disk', node);
      return;
    }
    if (node.isRunning) await this.#life.down(node);
    this.#network.hostTouches(node);
    this.#trueDisks.set(node, { disk: node.disk.clone(), openings: node.openings });
    const what = this.#tamper(node);
    this.#network.tampered.set(node, what);
    this.#life.note(`host: ${what}`, node);
    this.#life.up(node);
  }

  #tamper(node: SimulatedNode): string {
    const copy = this.#copies.get(node)?.files() ?? new Map<string, Uint8Array>();
    const files = [...node.disk.files().keys()].filter((path) => path.startsWith('/data/node/'));
    const path = files[this.#dice.below(files.length)];
    switch (this.#dice.below(7)) {
      case 0:
        if (files.includes(KEYSLOTS)) node.disk.tamper(KEYSLOTS, undefined);
        return 'deletes the keyslot file';
      case 1:
        if (copy.has(KEYSLOTS) && files.length > 0) node.disk.tamper(KEYSLOTS, copy.get(KEYSLOTS));
        return 'rolls the keyslot file back';
      case 2: {
        const other = this.#any()?.disk.files().get(KEYSLOTS);
        if (other !== undefined && files.length > 0) node.disk.tamper(KEYSLOTS, other);
        return 'swaps keyslot files';
      }
      case 3:
        if (path !== undefined) {
          const bytes = node.disk.files().get(path) ?? new Uint8Array(0);
          const at = this.#dice.below(bytes.length);
          node.disk.tamper(
            path,
            bytes.map((byte, index) => (index === at ? byte ^ 0x10 : byte)),
          );
        }
        return 'flips a bit';
      case 4:
        if (path !== undefined) node.disk.tamper(path, undefined);
        return 'deletes a file';
      case 5: {
        // The store alone: the keyslot file stays the current one.
        const current = node.disk.files().get(KEYSLOTS);
        node.disk = this.#copies.get(node)?.clone() ?? node.disk;
        if (current !== undefined && copy.has(KEYSLOTS)) node.disk.tamper(KEYSLOTS, current);
        return 'rolls the store back, without its keyslot file';
      }
      default:
        node.disk = this.#copies.get(node)?.clone() ?? node.disk;
        return 'rolls the disk back';
    }
  }

  /** A second machine runs beside the first, with a copy of its disk of now or of before. */
  twin(victim?: SimulatedNode): void {
    const node = victim ?? this.#any(({ twinOf }) => twinOf === undefined);
    const twins = this.#network.nodes.filter(({ twinOf }) => twinOf !== undefined).length;
    if (node === undefined || twins >= MAX_TWINS) return;
    const twin = this.#network.addTwin(node);
    const copy = this.#dice.chance(0.3) ? this.#copies.get(node) : undefined;
    if (copy !== undefined) twin.disk = copy.clone().afterKill();
    this.#life.note(copy === undefined ? 'gets a twin' : 'gets a twin with an older disk', node);
    this.#life.up(twin);
  }

  /** One route from one node to some servers fails, in one direction; or all fail no more. */
  drop(): void {
    const { dropped } = this.#network.world.wire;
    if (dropped.size > 0 && this.#dice.chance(0.3)) {
      dropped.clear();
      this.#network.world.note('routes pass again');
      return;
    }
    const node = this.#any();
    if (node === undefined) return;
    const path = this.#dice.pick(routes);
    const what = this.#dice.chance(0.5) ? 'requests' : 'answers';
    const share = this.#dice.pick([0.2, 0.6, 1]);
    for (const { endpoint } of this.#network.nodes)
      if (this.#dice.chance(share)) dropped.add({ from: node.name, endpoint, path, what });
    this.#life.note(`host drops ${what}`, node);
    this.#network.world.note(`of ${path}, ${dropped.size} routes in all`);
  }

  /**
   * A host that is after one node does several things in a row: it copies, cuts off, drops routes, starts a twin, has
   * servers restarted, and in the end puts back what it copied.
   */
  async plot(): Promise<void> {
    const victim = this.#any(({ twinOf, open }) => twinOf === undefined && open !== undefined);
    if (victim === undefined || this.#network.tampered.has(victim)) return;
    this.#life.note('a host plots', victim);
    this.#copies.set(victim, victim.disk.clone());
    for (let acts = 2 + this.#dice.below(4); acts > 0; acts--) {
      await this.#dice.pick<() => Promise<void>>([
        () => this.#pause(victim),
        async () => this.twin(victim),
        async () => this.#forgetNothing(victim),
        () => this.#restartOne(),
        () => this.#restartOne(),
      ])();
      await this.#network.witness.writeAll();
      await this.#network.settle(1_000 + this.#dice.below(25_000));
    }
    if (this.#dice.chance(0.5)) this.#network.world.wire.dropped.clear();
    if (this.#dice.chance(0.5)) this.#network.world.wire.cut.clear();
    if (this.#dice.chance(0.5)) await this.#rollBack(victim);
  }

  /** Nothing passes between one machine and the others; its time goes on. */
  async #pause(node: SimulatedNode): Promise<void> {
    const { cut } = this.#network.world.wire;
    this.#life.note('is cut off', node);
    for (const other of this.#network.nodes.filter((candidate) => candidate !== node)) {
      cut.add(`${node.name}>${other.endpoint}`);
      cut.add(`${other.name}>${node.endpoint}`);
    }
  }

  /** The requests by which a node has old keys erased reach no server. */
  #forgetNothing(node: SimulatedNode): void {
    this.#life.note('has nothing forgotten', node);
    for (const { endpoint } of this.#network.nodes)
      for (const path of ['/forget', '/lineage-update'])
        this.#network.world.wire.dropped.add({ from: node.name, endpoint, path, what: 'requests' });
  }

  async #restartOne(): Promise<void> {
    const server = this.#any(({ keyServer }) => keyServer !== undefined);
    if (server === undefined) return;
    await this.#life.down(server);
    this.#life.up(server);
  }

  async #rollBack(node: SimulatedNode): Promise<void> {
    const copy = this.#copies.get(node);
    if (copy === undefined) return;
    if (node.isRunning) await this.#life.down(node);
    this.#network.hostTouches(node);
    this.#trueDisks.set(node, { disk: node.disk.clone(), openings: node.openings });
    const keyslots = node.disk.files().get(KEYSLOTS);
    node.disk = copy.clone().afterKill();
    const isWhole = this.#dice.chance(0.6);
    if (!isWhole && keyslots !== undefined) node.disk.tamper(KEYSLOTS, keyslots);
    const what = isWhole ? 'rolls the disk back' : 'rolls the store back, without its keyslot file';
    this.#network.tampered.set(node, what);
    this.#life.note(`host: ${what}`, node);
    this.#life.up(node);
  }

  /** A node loses its servers one after the other. */
  async cutOneByOne(): Promise<void> {
    const { wire, clock } = this.#network.world;
    const node = this.#any();
    if (node === undefined) return;
    this.#life.note('loses its servers one by one', node);
    for (const { endpoint } of this.#network.nodes) {
      wire.cut.add(`${node.name}>${endpoint}`);
      await clock.advance(this.#dice.below(6_000));
      await this.#network.witness.writeAll();
    }
  }

  /** A host without a checkpoint in its way shows its machine another chain. */
  forgeChain(): void {
    const node = this.#any();
    if (node === undefined) return;
    if (node.chain.forge !== undefined) {
      node.chain.forge = undefined;
      this.#life.note('sees the true chain again', node);
      return;
    }
    const { body } = this.#network.world;
    const own = this.#hostServer((reportData) => foreignPki.quote({ reportData, body })).record();
    const hidden = new Set(this.#network.nodes.filter(() => this.#dice.chance(0.5)));
    const isHidden = ({ endpoint }: ServerRecord) =>
      [...hidden].some((machine) => machine.endpoint === endpoint);
    const forgeries: readonly [ForgeRecords, ...ForgeRecords[]] = [
      (records) => records.filter((record) => !isHidden(record)),
      (records) => [...records.filter((record) => !isHidden(record)), own],
      // The host's address and key under the accounts of true servers.
      (records) =>
        records.map((record) =>
          isHidden(record)
            ? { ...record, endpoint: own.endpoint, x25519PublicKey: own.x25519PublicKey }
            : record,
        ),
    ];
    node.chain.forge = this.#dice.pick(forgeries);
    this.#life.note('sees a forged chain', node);
    this.#network.publish();
  }

  /** An operator who holds the attestation key of one platform registers two servers that run in no TD. */
  registerOperator(): void {
    if (this.#network.strangers.length > 0) return;
    for (const server of [1, 2].map(() => this.#extractedServer()))
      this.#network.strangers.push(server.record());
    this.#network.world.note('an operator registers two servers on one platform');
    this.#network.publish();
  }

  /** The same operator gives a new machine a store of the operator's making. */
  async plantStore(): Promise<void> {
    const victim = this.#network.addMachine();
    const servers = [1, 2].map(() => this.#extractedServer());
    this.#network.strangers.push(...servers.map((server) => server.record()));
    const storeId = await this.#network.world.clock.until(hostMadeDisk(victim, servers));
    this.#network.world.hostMadeStores.add(toHex(storeId));
    this.#network.tampered.set(victim, 'has a store that the host made');
    this.#network.publish();
    this.#life.note('has a store that the host made', victim);
    this.#life.up(victim);
  }

  #extractedServer(): HostMadeServer {
    const { pki, body } = this.#network.world;
    return this.#hostServer((reportData) => pki.quote({ reportData, platform: EXTRACTED_PLATFORM, body }));
  }

  #hostServer(quote: (reportData: Uint8Array) => Uint8Array): HostMadeServer {
    return new HostMadeServer(this.#network.world, ++this.#servers, quote);
  }

  /** Everything but disks is as it should be again. */
  makePeace(): void {
    this.#network.world.wire.dropped.clear();
    this.#network.strangers.length = 0;
    for (const { chain } of this.#network.nodes) chain.forge = undefined;
    this.#network.publish();
  }

  /** The host gives back what it took, unless the store was opened and has gone on since. */
  async repent(node: SimulatedNode): Promise<void> {
    const saved = this.#trueDisks.get(node);
    this.#trueDisks.delete(node);
    this.#network.tampered.delete(node);
    // A store that was opened since has gone on, and what the host took is an old disk now.
    if (saved === undefined || node.openings > saved.openings) return;
    this.#network.hostTouches(node);
    if (node.isRunning) await this.#network.world.clock.until(node.stop());
    node.disk = saved.disk;
    this.#life.note('host gives the disk back', node);
  }

  #any(condition: (node: SimulatedNode) => boolean = () => true): SimulatedNode | undefined {
    const found = this.#network.nodes.filter(condition);
    return found[this.#dice.below(found.length)];
  }
}
