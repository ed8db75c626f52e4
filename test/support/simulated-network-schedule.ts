import type { Dice } from './disk-dice.ts';
import { survivals } from './disk-survival.ts';
import { SimulatedNetwork } from './simulated-network.ts';
import { Hosts } from './simulated-network-host.ts';
import { firstSection, MovingFleet } from './simulated-network-moves.ts';
import type { SimulatedNode } from './simulated-network-node.ts';
import { attemptTheft, thefts } from './simulated-network-thief.ts';
import type { Misbehaviour } from './simulated-network-wire.ts';
import { withStandInCrypto } from './stand-in-crypto.ts';

const misbehaviours: readonly [Misbehaviour, ...Misbehaviour[]] = [
  'hang',
  'slow',
  'replay',
  'garbage',
  'denies',
  'impersonate',
  'redirect',
];

/** How long a healthy network may take to open and to back every store. */
const HEALING_MS = 60_000;
const STEPS = 6;
/** With fewer none is backed. */
const LEAST_MACHINES = 4;
/** How often a life that is not thorough has a network of any size: requests grow with the square of it. */
const WIDE_CHANCE = 0.15;

/** What a seeded run found. */
export interface RunReport {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly history: readonly string[];
  /** Processor time of the process during this life, in milliseconds. */
  readonly cpuMs: number;
  /** How often what happened. */
  readonly counts: Readonly<Record<string, number>>;
}

/** One life in this number has real cryptography, and one in the other number is thorough. Prime to {@link MOVING_EVERY}. */
const REAL_EVERY = 11;
const THOROUGH_EVERY = 33;

/** In one life in this number the fleet moves. */
const MOVING_EVERY = 5;

/** How a life is run, where the seed shall not decide it. */
export interface LifeOptions {
  /** Whether all cryptography is real; else {@link withStandInCrypto} stands in for most of it. By default one seed in eleven. */
  readonly real?: boolean;
  /**
   * A thorough life is real, has a network of four to eight machines, verifies each quote every time that it is shown, and
   * waits for the whole of every quiet stretch. By default one seed in 33.
   */
  readonly thorough?: boolean;
  /** Whether the fleet has an authority and moves from release to release. By default one seed in five. */
  readonly moving?: boolean;
}

/** One random life of a network, which the seed alone decides. */
export async function runSchedule(seed: number, options: LifeOptions = {}): Promise<RunReport> {
  const thorough = options.thorough ?? seed % THOROUGH_EVERY === 0;
  const moving = options.moving ?? seed % MOVING_EVERY === 0;
  const real = options.real ?? (thorough || seed % REAL_EVERY === 0);
  const life = () => runLife(seed, { real, thorough, moving });
  const before = process.cpuUsage();
  const report = await (real ? life() : withStandInCrypto(life));
  const { user, system } = process.cpuUsage(before);
  return { ...report, cpuMs: Math.round((user + system) / 1000) };
}

async function runLife(
  seed: number,
  { real, thorough, moving }: Required<LifeOptions>,
): Promise<Omit<RunReport, 'cpuMs'>> {
  const trust = moving ? firstSection : undefined;
  const signatures = thorough ? 'every-time' : real ? 'once' : 'stand-in';
  const network = new SimulatedNetwork(seed, signatures, trust, { isPatient: !thorough });
  const run = new Schedule(network, { thorough, moving });
  try {
    await run.all();
  } catch (error) {
    network.world.fail(`the run failed: ${error instanceof Error ? error.stack : String(error)}`);
  }
  const { violations, history } = network.world;
  return { seed, violations, history, counts: run.counts };
}

class Schedule {
  readonly #network: SimulatedNetwork;
  readonly #dice: Dice;
  readonly counts: Record<string, number> = {};
  readonly #hosts: Hosts;
  readonly #brief: boolean;
  /** Whether the network may have more machines than are needed to be backed. */
  readonly #isWide: boolean;
  readonly #life = {
    note: (what: string, node?: SimulatedNode) => this.#note(what, node),
    down: (node: SimulatedNode) => this.#down(node),
    up: (node: SimulatedNode) => this.#up(node),
  };
  readonly #fleet: MovingFleet | undefined;
  #addresses = 0;

  constructor(
    network: SimulatedNetwork,
    { thorough, moving }: Pick<Required<LifeOptions>, 'thorough' | 'moving'>,
  ) {
    this.#network = network;
    this.#brief = !thorough;
    this.#dice = network.world.dice;
    this.#isWide = thorough || this.#dice.chance(WIDE_CHANCE);
    this.#hosts = new Hosts(network, this.#life);
    this.#fleet = moving ? new MovingFleet(network) : undefined;
  }

  async all(): Promise<void> {
    const network = this.#network;
    const size = this.#isWide ? LEAST_MACHINES + this.#dice.below(5) : LEAST_MACHINES;
    await network.form(size, { brief: this.#brief });
    for (let step = 0; step < STEPS && network.world.violations.length === 0; step++) {
      await this.#fleet?.act(this.#life);
      await this.#step();
      network.check();
      if (this.#dice.chance(0.15)) await network.quietStretch(HEALING_MS, { brief: this.#brief });
      else await network.settle(500 + this.#dice.below(12_000));
      await network.witness.writeAll();
      network.check();
    }
    if (network.world.violations.length > 0) return;
    await this.#makePeace();
    await network.witness.writeAll();
    await network.quietStretch(HEALING_MS, { brief: this.#brief });
    await network.witness.writeAll();
    this.#count(
      `ends ${network.nodes.map(({ state }) => state.name).some((name) => name !== 'backed') ? 'with locked stores' : 'all backed'}`,
    );
    await network.close();
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  #note(what: string, node?: SimulatedNode): void {
    this.#count(what);
    this.#network.world.note(node === undefined ? what : `${node.name}: ${what}`);
  }

  #any(condition: (node: SimulatedNode) => boolean = () => true): SimulatedNode | undefined {
    const found = this.#network.nodes.filter(condition);
    return found[this.#dice.below(found.length)];
  }

  async #step(): Promise<void> {
    const steps: readonly [() => Promise<void>, ...(() => Promise<void>)[]] = [
      () => this.#crash(),
      () => this.#crash(),
      () => this.#crash(),
      () => this.#restartSome(),
      () => this.#restartAllOneAfterAnother(),
      () => this.#misbehave(),
      () => this.#misbehave(),
      () => this.#partition(),
      () => this.#churn(),
      () => this.#hosts.trick(),
      () => this.#hosts.trick(),
      () => this.#lie(),
      () => this.#steal(),
      () => this.#hosts.plot(),
      () => this.#hosts.plot(),
      () => this.#hosts.plot(),
      async () => this.#hosts.twin(),
      async () => this.#hosts.drop(),
      async () => this.#hosts.drop(),
      () => this.#hosts.cutOneByOne(),
      async () => this.#hosts.forgeChain(),
      async () => this.#hosts.registerOperator(),
      () => this.#hosts.plantStore(),
      () => this.#drain(),
      () => this.#drain(),
      ...this.#tricksOnTheFleet(),
    ];
    await this.#dice.pick(steps)();
  }

  #tricksOnTheFleet(): readonly (() => Promise<void>)[] {
    const fleet = this.#fleet;
    if (fleet === undefined) return [];
    return [
      () => fleet.trick(this.#life),
      () => fleet.trick(this.#life),
      async () => fleet.hide(this.#life),
      async () => fleet.hide(this.#life),
    ];
  }

  async #down(node: SimulatedNode): Promise<void> {
    const { clock } = this.#network.world;
    if (this.#dice.chance(0.25)) {
      await clock.until(node.stop());
    } else {
      if (this.#dice.chance(0.4)) {
        // The power goes in the middle of some write.
        node.disk.cutAt(node.disk.steps + 1 + this.#dice.below(12));
        await clock.advance(this.#dice.below(9_000));
      }
      const survival = this.#dice.chance(0.5) ? 'process-only' : this.#dice.pick(survivals);
      await clock.until(node.kill(survival, this.#dice.below(1_000_000)));
    }
    await this.#network.wentDown(node);
    this.#note('goes down', node);
  }

  #up(node: SimulatedNode): void {
    this.#note('starts', node);
    node.start();
  }

  async #crash(): Promise<void> {
    for (let count = 1 + this.#dice.below(3); count > 0; count--) {
      const node = this.#any(({ isRunning }) => isRunning);
      if (node === undefined) return;
      await this.#down(node);
      if (this.#dice.chance(0.6)) this.#up(node);
      await this.#network.world.clock.advance(this.#dice.below(8_000));
    }
  }

  async #restartSome(): Promise<void> {
    for (const node of this.#network.nodes) if (!node.isRunning) this.#up(node);
  }

  /** A rolling restart that waits until every node has a backup again, as an orchestrator does. */
  async #restartAllOneAfterAnother(): Promise<void> {
    const { clock } = this.#network.world;
    for (const node of this.#network.nodes) {
      if (node.state.name !== 'backed') continue;
      await this.#down(node);
      this.#up(node);
      for (let waitMs = 0; waitMs < 40_000; waitMs += 2_000) {
        if (node.state.name === 'backed' && node.serving?.formerClients.pending === 0) break;
        await clock.advance(2_000);
      }
    }
  }

  async #misbehave(): Promise<void> {
    const { misbehaviour } = this.#network.world.wire;
    const node = this.#any();
    if (node === undefined) return;
    if (misbehaviour.has(node.endpoint) && this.#dice.chance(0.6)) {
      misbehaviour.delete(node.endpoint);
      this.#note('behaves again', node);
      return;
    }
    const how = this.#dice.pick(misbehaviours);
    misbehaviour.set(node.endpoint, how);
    this.#note(`wire: ${how}`, node);
  }

  async #partition(): Promise<void> {
    const { cut } = this.#network.world.wire;
    if (cut.size > 0 && this.#dice.chance(0.6)) {
      cut.clear();
      this.#note('partition ends');
      return;
    }
    const side = new Set(this.#network.nodes.filter(() => this.#dice.chance(0.4)));
    for (const a of this.#network.nodes) {
      for (const b of this.#network.nodes)
        if (side.has(a) !== side.has(b)) cut.add(`${a.name}>${b.endpoint}`);
    }
    this.#count('partition');
    this.#network.world.note(`partition: ${[...side].map(({ name }) => name).join(' ')}`);
  }

  async #churn(): Promise<void> {
    const network = this.#network;
    const node = this.#any();
    if (node === undefined) return;
    switch (this.#dice.below(4)) {
      case 0:
        if (network.records.size > 4) {
          network.deregister(node);
          this.#note('leaves the chain', node);
        }
        return;
      case 1:
        await network.register(node);
        this.#note('registers', node);
        return;
      case 2:
        node.move(`10.1.0.${++this.#addresses}:3001`);
        this.#note('moves', node);
        await network.world.clock.advance(this.#dice.below(3_000));
        await network.register(node);
        return;
      default:
        if (network.nodes.length < (this.#isWide ? 9 : 6)) await this.#join();
    }
  }

  async #join(): Promise<void> {
    const node = this.#network.addMachine();
    this.#up(node);
    await this.#network.world.clock.advance(2_000);
    await this.#network.register(node);
  }

  async #lie(): Promise<void> {
    const node = this.#any(({ keyServer }) => keyServer !== undefined);
    if (node === undefined) return;
    if (this.#dice.chance(0.5)) {
      node.startLying();
    } else {
      // Invented marks stop no other node, even when many servers invent them.
      for (const other of this.#network.nodes) if (this.#dice.chance(0.7)) other.inventMarks();
    }
    this.#note('server lies', node);
  }

  /** An operator drains a server, changes their mind, or stops it: when it is free, or impatiently. */
  async #drain(): Promise<void> {
    const { clock } = this.#network.world;
    const node = this.#any(({ serving }) => serving !== undefined);
    if (node === undefined) return;
    if (!node.isDraining) {
      node.drain();
      this.#note('drains', node);
      await clock.advance(this.#dice.below(20_000));
      if (this.#dice.chance(0.6)) return;
    }
    if (!node.isDraining) return;
    if (this.#dice.chance(0.4)) {
      node.serving?.drain.cancel();
      this.#note('drain ends', node);
      return;
    }
    const isFree = node.serving?.drain.progress()?.remaining === 0;
    this.#note(isFree ? 'stops when it is free' : 'stops before it is free', node);
    this.#network.check();
    await this.#down(node);
  }

  async #steal(): Promise<void> {
    const node = this.#any(({ keyServer }) => keyServer !== undefined);
    if (node === undefined) return;
    const theft = thefts[this.#dice.below(thefts.length)] ?? thefts[0];
    this.#note(`thief: ${theft}`, node);
    await this.#network.world.clock.until(attemptTheft(this.#network, theft, node).catch(() => undefined));
  }

  /** Restores everything that is not lost permanently. */
  async #makePeace(): Promise<void> {
    const { wire } = this.#network.world;
    this.#note('peace');
    wire.misbehaviour.clear();
    wire.cut.clear();
    this.#hosts.makePeace();
    for (const node of [...this.#network.tampered.keys()]) await this.#hosts.repent(node);
    for (const node of this.#network.nodes) {
      node.serving?.drain.cancel();
      if (!node.isRunning) this.#up(node);
      if (node.lies.size > 0) {
        await this.#down(node);
        this.#up(node);
      }
    }
    await this.#network.settle(5_000);
    await this.#fleet?.makePeace(this.#life);
    for (const node of this.#network.nodes) await this.#network.register(node);
  }
}
