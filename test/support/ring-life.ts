import { RecordId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import type { RingMember } from '../../src/ring/placement/member.ts';
import type { Placement } from '../../src/ring/placement/placement.ts';
import { Dice } from './dice.ts';
import { ringRecord, versionOf } from './ring-records.ts';
import { calm, type Machine, SimulatedRing } from './simulated-ring.ts';

/** Few, so that reads often meet writes. */
const RECORDS = 4;
const MAX_CALM_ROUNDS = 30;
const DAY_MS = 86_400_000;

/** A random life of a ring: what happens, and what must never happen. */
export class RingLife {
  readonly ring: SimulatedRing;
  readonly violations: string[] = [];
  /** How often something was done with success, by its name. */
  readonly done = new Map<string, number>();
  readonly #dice: Dice;
  readonly #ids: readonly RecordId[];
  /** Newest version that was acknowledged, and the newest that was tried, by id. */
  readonly #acknowledged = new Map<string, number>();
  readonly #tried = new Map<string, number>();
  readonly #running = new Set<Promise<void>>();
  #hasLeft = false;

  constructor(seed: number, makePlacement?: (members: readonly RingMember[]) => Placement) {
    this.#dice = new Dice(seed);
    this.ring = new SimulatedRing(this.#dice, makePlacement);
    this.#ids = Array.from({ length: RECORDS }, () => RecordId.of(this.#dice.bytes(32)));
  }

  /** Lives through `stretches` stretches of trouble, each with calm after it. */
  async live(members: number, stretches: number): Promise<void> {
    await this.ring.found(members);
    for (let stretch = 0; stretch < stretches; stretch++) {
      for (let step = 0; step < 40; step++) await this.#step();
      await this.#calmDown();
      this.#compareAll();
    }
  }

  async #step(): Promise<void> {
    const { ring } = this;
    const dice = this.#dice;
    const machine = dice.of([...ring.machines.values()]);
    switch (dice.below(14)) {
      case 0:
      case 1:
      case 2:
        this.#start(this.#write(machine));
        break;
      case 3:
      case 4:
      case 5:
        this.#start(this.#read(machine));
        break;
      case 6:
        this.#toggle(machine);
        break;
      case 7:
        if (ring.machines.size < 9) await ring.join();
        break;
      case 8:
        this.#leave(machine);
        break;
      case 9:
        ring.sides.set(toHex(machine.member.account), dice.below(2));
        break;
      case 10:
        ring.weather = {
          lost: dice.of([0, 5, 10]),
          repeated: dice.of([0, 3]),
          mostDelayMs: dice.of([5, 200]),
        };
        break;
      case 11:
        machine.followsChain = dice.oneIn(2);
        break;
      default:
        ring.hearChain(machine);
        this.#start(Promise.resolve(machine.node?.repair()).then(() => undefined));
    }
    await ring.time.advance(dice.below(100));
  }

  #start(work: Promise<void>): void {
    const running = work.catch((error: unknown) => {
      if (!(error instanceof LatchkeyError)) this.violations.push(`an error escaped: ${String(error)}`);
    });
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }

  async #write({ node }: Machine): Promise<void> {
    if (node === undefined) return;
    const id = this.#dice.of(this.#ids);
    const name = toHex(id);
    const version = (this.#tried.get(name) ?? 0) + 1;
    this.#tried.set(name, version);
    const expiry = this.ring.time.nowMs() + DAY_MS;
    const { kind } = await node.write(ringRecord(id, version, expiry, this.#dice.oneIn(4)));
    if (kind !== 'written') return;
    this.#acknowledged.set(name, Math.max(version, this.#acknowledged.get(name) ?? 0));
    this.#count('written');
  }

  async #read({ node }: Machine): Promise<void> {
    if (node === undefined) return;
    const id = this.#dice.of(this.#ids);
    const before = this.#acknowledged.get(toHex(id)) ?? 0;
    const { entry } = await node.read(id);
    const version = entry === undefined ? 0 : Math.abs(versionOf(entry));
    if (version < before) this.violations.push(`I9: read ${version} of ${before} acknowledged`);
    this.#count('read');
  }

  #toggle(machine: Machine): void {
    if (machine.node === undefined) this.#start(this.ring.start(machine));
    else if (this.ring.running().length > 3) this.ring.stop(machine);
  }

  /** One machine is lost for good between two times of calm. */
  #leave(machine: Machine): void {
    const { ring } = this;
    if (this.#hasLeft || ring.view.placement.members.length <= 4) return;
    this.#hasLeft = true;
    ring.stop(machine);
    ring.leave(machine);
    ring.machines.delete(toHex(machine.member.account));
    this.#count('left');
  }

  async #calmDown(): Promise<void> {
    const { ring } = this;
    ring.weather = calm;
    ring.sides.clear();
    while (this.#running.size > 0) await ring.time.advance(100);
    for (const machine of ring.machines.values()) {
      machine.followsChain = true;
      if (machine.node === undefined) await ring.start(machine);
    }
    // Each change that was under way or waits takes a round or two.
    const isOver = () =>
      ring.running().every(({ node }) => node?.isReady && node.view.block === ring.view.block);
    for (let round = 0; round < MAX_CALM_ROUNDS && !isOver(); round++) await ring.rounds(1);
    await ring.rounds(2);
    this.#hasLeft = false;
  }

  /** After calm all holders agree, on what was acknowledged or on something newer, and all of them serve. */
  #compareAll(): void {
    const { ring } = this;
    for (const id of this.#ids) {
      const name = toHex(id);
      const versions = ring.view.placement.replicasOf(id).map(({ account }) => {
        const bytes = ring.machines.get(toHex(account))?.store.records.get(name);
        return bytes === undefined ? 0 : Math.abs(versionOf({ bytes }));
      });
      if (new Set(versions).size > 1) this.violations.push(`I4: holders have versions ${versions}`);
      const acknowledged = this.#acknowledged.get(name) ?? 0;
      if (versions.some((version) => version < acknowledged))
        this.violations.push(`I2: holders have ${versions} of ${acknowledged} acknowledged`);
    }
    for (const { node } of ring.running())
      if (node?.isReady !== true) this.violations.push('I5: not ready in calm');
  }

  #count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1);
  }
}
