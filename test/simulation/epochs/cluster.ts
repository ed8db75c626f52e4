import type { EpochJournal } from '../../../src/epochs/epoch-journal.ts';
import type { Share } from '../../../src/epochs/epoch-record.ts';
import { stateDigest } from '../../../src/epochs/state-digest.ts';
import type { Store } from '../../../src/store/api/store-api.ts';
import { type Dice, seededDice } from '../../support/disk-dice.ts';
import { survivals } from '../../support/disk-survival.ts';
import { newEpochDisk, openEpochStore } from '../../support/epoch-disk.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { runNode } from './node.ts';
import { SimulatedProcess } from './process.ts';
import { type Links, World } from './world.ts';

/** When which nodes lose their power, and what their disks do. */
export interface CrashPlan {
  readonly everyMs: number;
  /** Nodes per crash, chosen by chance; all of them is a total shutdown. */
  readonly victims: number;
  readonly downMs: number;
  /** How often a write or a sync of a disk fails, 0 to 1. */
  readonly faultRate?: number;
  /** How often the power goes off in the middle of a write or a sync, 0 to 1. */
  readonly cutRate?: number;
  readonly links?: Partial<Links>;
}

/** What a run ended with. */
export interface RunResult {
  readonly digest: string;
  readonly rounds: number;
  readonly epochs: number;
  readonly crashes: number;
  readonly panics: number;
  readonly violations: readonly string[];
  readonly shares: readonly Share[];
  readonly groupKey: string | undefined;
}

interface Machine {
  readonly member: number;
  readonly dice: Dice;
  disk: SimulatedDisk;
  process: SimulatedProcess | undefined;
  journal: EpochJournal | undefined;
}

const MEMBERS = 4;
const SUPERVISOR_MS = 500;
const JITTER_MS = 500;
/** Small, so that runs also cross from one segment of the log to the next. */
const SEGMENT_BYTES = 16 * 1024;

/**
 * Four nodes on simulated disks in virtual time, under a crash plan; the same seed gives the same run. `disguise` lets
 * a test put a defect between store and journal.
 */
export class Cluster {
  readonly #world: World;
  readonly #machines: readonly Machine[];
  readonly #plan: CrashPlan;
  readonly #disguise: (store: Store) => Store;
  #crashes = 0;
  #panics = 0;
  #stopped = false;

  constructor(seed: number, plan: CrashPlan, disguise: (store: Store) => Store = (store) => store) {
    this.#plan = plan;
    this.#disguise = disguise;
    this.#world = new World(seed, MEMBERS, { latencyMs: 10, jitterMs: 1, lossRate: 0, ...plan.links });
    this.#machines = Array.from({ length: MEMBERS }, (_, member) => {
      const dice = seededDice(seed * 1000 + member);
      return { member, dice, disk: new SimulatedDisk(), process: undefined, journal: undefined };
    });
  }

  /** Runs with crashes for the given time, then without crashes for a while, and checks the result. */
  async run(stormMs: number, calmMs: number): Promise<RunResult> {
    for (const machine of this.#machines) {
      const { disk, store } = await newEpochDisk(machine.dice.below(2 ** 31), SEGMENT_BYTES);
      await store.close();
      machine.disk = disk.afterPowerCut('lost');
      this.#start(machine);
    }
    this.#planCrash();
    await this.#world.clock.advance(stormMs);
    this.#stopped = true;
    await this.#world.clock.advance(calmMs);
    const journals = this.#machines.flatMap(({ journal }) => (journal === undefined ? [] : [journal]));
    const newest = Math.max(...journals.map((journal) => journal.current()?.number ?? 0));
    const level = journals.filter((journal) => journal.current()?.number === newest);
    const shares = await Promise.all(level.map((journal) => journal.secrets.getShare(newest)));
    const world = this.#world;
    return {
      digest: [world.digest(), ...journals.map(stateDigest)].join(' '),
      rounds: world.rounds,
      epochs: world.epochs,
      crashes: this.#crashes,
      panics: this.#panics,
      violations: world.violations,
      shares: shares.filter((share) => share !== undefined),
      groupKey: world.groupKey,
    };
  }

  #start(machine: Machine): void {
    const process = new SimulatedProcess(this.#world.clock, machine.dice);
    machine.process = process;
    machine.journal = undefined;
    this.#injectFaults(machine);
    const live = async (): Promise<void> => {
      const seed = machine.dice.below(2 ** 31);
      const sealed = await openEpochStore(process.slowDisk(machine.disk), seed, SEGMENT_BYTES);
      const store = this.#disguise(sealed);
      await runNode(this.#world, process, machine.member, store, machine.dice, (journal) => {
        machine.journal = journal;
      });
    };
    live().catch((error: unknown) => {
      if (error instanceof TypeError || error instanceof RangeError)
        this.#world.violations.push(String(error.stack));
      process.kill();
    });
    this.#supervise(machine, process);
  }

  /** Restarts a process that ended by itself. */
  #supervise(machine: Machine, process: SimulatedProcess): void {
    this.#world.clock.after(SUPERVISOR_MS, () => {
      if (machine.process !== process) return;
      if (process.alive) return this.#supervise(machine, process);
      this.#panics += 1;
      this.#cutPower(machine);
      this.#start(machine);
    });
  }

  #injectFaults(machine: Machine): void {
    const { faultRate = 0, cutRate = 0, downMs } = this.#plan;
    const { disk, dice } = machine;
    disk.inject(({ kind }) => {
      if (this.#stopped || (kind !== 'write' && kind !== 'sync')) return undefined;
      if (dice.chance(cutRate)) {
        this.#crash(machine, downMs);
        return { code: 'EIO', writtenBytes: dice.below(200) };
      }
      if (!dice.chance(faultRate)) return undefined;
      return kind === 'sync'
        ? { code: 'EIO', dropsDirty: dice.chance(0.5) }
        : { code: 'EIO', writtenBytes: 7 };
    });
  }

  #crash(machine: Machine, downMs: number): void {
    this.#crashes += 1;
    machine.process?.kill();
    machine.process = undefined;
    this.#world.clock.after(downMs, () => {
      if (machine.process !== undefined) return;
      this.#cutPower(machine);
      this.#start(machine);
    });
  }

  #cutPower(machine: Machine): void {
    machine.process?.kill();
    machine.process = undefined;
    const { dice, disk } = machine;
    const killed = dice.chance(0.25);
    machine.disk = killed ? disk.afterKill() : disk.afterPowerCut(dice.pick(survivals), dice.below(2 ** 31));
  }

  #planCrash(): void {
    const { everyMs, victims, downMs } = this.#plan;
    if (victims === 0) return;
    // A little by chance, so that crashes fall into every phase of an epoch.
    this.#world.clock.after(everyMs + this.#world.dice.next() * JITTER_MS, () => {
      if (this.#stopped) return;
      const standing = [...this.#machines];
      for (let count = 0; count < victims; count++) {
        const [machine] = standing.splice(this.#world.dice.below(standing.length), 1);
        if (machine === undefined) break;
        this.#crash(machine, downMs);
      }
      this.#planCrash();
    });
  }
}
