import { toHex } from '../../src/bytes/hex.ts';
import type { RingMember } from '../../src/ring/placement/member.ts';
import { Placement } from '../../src/ring/placement/placement.ts';
import type { RingView } from '../../src/ring/placement/views.ts';
import type { RecordBounds } from '../../src/ring/replication/entry.ts';
import type { FromNode, RingReply, RingRequest, RingTransport } from '../../src/ring/replication/messages.ts';
import { RingNode } from '../../src/ring/replication/ring-node.ts';
import type { Dice } from './dice.ts';
import { randomMember } from './ring-members.ts';
import { MemoryMarks, MemoryReplicaStore, ringFormat } from './ring-records.ts';
import { VirtualScheduler } from './virtual-scheduler.ts';

const TIMEOUT_MS = 2000;

/** One machine: its disk stays when its process ends. */
export interface Machine {
  readonly member: RingMember;
  readonly store: MemoryReplicaStore;
  readonly marks: MemoryMarks;
  /** Bounds of its operator; asked anew for each record. */
  isWithinBounds: RecordBounds;
  node: RingNode | undefined;
  /** What a process leaves for the next one. */
  kept: { readonly view: RingView; readonly complete: number };
  /** Whether it hears of the chain. */
  followsChain: boolean;
  /** Views that it has not heard of. */
  unheard: RingView[];
}

/** How badly the network treats messages; each is one in this number, 0 is never. */
export interface Weather {
  readonly lost: number;
  readonly repeated: number;
  readonly mostDelayMs: number;
}

export const calm: Weather = { lost: 0, repeated: 0, mostDelayMs: 20 };

/** A ring of real nodes in virtual time. Messages get lost, late, repeated and cut off, all by dice. */
export class SimulatedRing {
  readonly machines = new Map<string, Machine>();
  readonly time = new VirtualScheduler();
  /** Machines of different sides do not hear each other. */
  readonly sides = new Map<string, number>();
  weather = calm;
  /** Bytes of records and digests that were sent, roughly. */
  sentBytes = 0;
  view: RingView;
  readonly #dice: Dice;
  readonly #makePlacement: (members: readonly RingMember[]) => Placement;
  readonly #history: RingView[] = [];
  #block = 1;

  constructor(
    dice: Dice,
    makePlacement: (members: readonly RingMember[]) => Placement = (members) => new Placement(members),
  ) {
    this.#dice = dice;
    this.#makePlacement = makePlacement;
    this.view = { block: 1, timestampMs: this.time.nowMs(), placement: makePlacement([]) };
  }

  /** Begins with `count` members, all of them complete. */
  async found(count: number): Promise<void> {
    const members = Array.from({ length: count }, () => randomMember(this.#dice));
    this.view = { ...this.view, placement: this.#makePlacement(members) };
    for (const member of members) {
      const machine = this.#add(member, { view: this.view, complete: this.view.block });
      await this.start(machine);
    }
    await this.rounds(1);
  }

  /** A node registers, begins empty, and takes the view of its neighbours. */
  async join(member = randomMember(this.#dice)): Promise<Machine> {
    const serving = this.running()[0]?.node?.view ?? this.view;
    const machine = this.#add(member, { view: serving, complete: -1 });
    await this.start(machine);
    this.change([...this.view.placement.members, member]);
    return machine;
  }

  /** The chain drops a member. */
  leave(machine: Machine): void {
    this.change(this.view.placement.members.filter((member) => member !== machine.member));
  }

  /** The chain shows other members; nodes that follow it hear of them, each a little later. */
  change(members: readonly RingMember[]): void {
    this.#block += 1;
    const placement = this.#makePlacement(members);
    this.view = { block: this.#block, timestampMs: this.time.nowMs(), placement };
    this.#history.push(this.view);
    for (const machine of this.machines.values()) machine.unheard.push(this.view);
  }

  /** Nodes that follow the chain hear its newest block. */
  hearChain(machine: Machine): void {
    if (!machine.followsChain || machine.node === undefined) return;
    machine.node.advance(this.time.nowMs());
    for (const view of machine.unheard.splice(0)) machine.node.adopt(view);
  }

  async start(machine: Machine): Promise<void> {
    machine.node = await RingNode.open({
      own: machine.member,
      ...machine.kept,
      format: ringFormat,
      store: machine.store,
      marks: machine.marks,
      isWithinBounds: (entry) => machine.isWithinBounds(entry),
      transport: this.#transportOf(machine),
      elapsedMs: () => this.time.nowMs(),
    });
    // What the chain changed since the view by which it served is heard again.
    machine.unheard = this.#history.filter(({ block }) => block > machine.kept.view.block);
    this.hearChain(machine);
  }

  stop(machine: Machine): void {
    if (machine.node === undefined) return;
    machine.kept = { view: machine.node.view, complete: machine.node.status().complete };
    machine.node = undefined;
  }

  running(): Machine[] {
    return [...this.machines.values()].filter(({ node }) => node !== undefined);
  }

  /** `count` rounds of every node, one after another in any order. */
  async rounds(count: number): Promise<void> {
    for (let round = 0; round < count; round++) {
      for (const machine of this.#dice.shuffled(this.running())) {
        this.hearChain(machine);
        const { node } = machine;
        if (node !== undefined) await this.until(node.repair());
      }
    }
  }

  /** Lets virtual time run until a promise is settled. */
  async until<Result>(promise: Promise<Result>): Promise<Result> {
    let isSettled = false;
    const watched = promise.finally(() => {
      isSettled = true;
    });
    watched.catch(() => undefined);
    while (!isSettled) await this.time.advance(5);
    return watched;
  }

  #add(member: RingMember, kept: Machine['kept']): Machine {
    const machine: Machine = {
      member,
      store: new MemoryReplicaStore(),
      marks: new MemoryMarks(),
      isWithinBounds: () => true,
      node: undefined,
      kept,
      followsChain: true,
      unheard: [],
    };
    this.machines.set(toHex(member.account), machine);
    return machine;
  }

  #transportOf(sender: Machine): RingTransport {
    const from = toHex(sender.member.account);
    return {
      ask: (to, request) =>
        new Promise((resolve, reject) => {
          this.time.after(TIMEOUT_MS, () => reject(new Error('no answer in time')));
          this.#deliver(from, toHex(to.account), request, resolve);
          // The channel refuses a repeated message; here it arrives, and must do no harm.
          if (this.#happens(this.weather.repeated))
            this.#deliver(from, toHex(to.account), request, () => undefined);
        }),
    };
  }

  #deliver(
    from: string,
    to: string,
    request: FromNode<RingRequest>,
    answered: (answer: FromNode<RingReply>) => void,
  ): void {
    this.sentBytes += sizeOf(request.message);
    this.#travel(from, to, async () => {
      const answer = await this.machines.get(to)?.node?.answer(from, request);
      if (answer === undefined) return;
      this.sentBytes += sizeOf(answer.message);
      this.#travel(to, from, async () => answered(answer));
    });
  }

  #travel(from: string, to: string, arrive: () => Promise<void>): void {
    const isCut = () => (this.sides.get(from) ?? 0) !== (this.sides.get(to) ?? 0);
    if (this.#happens(this.weather.lost) || isCut()) return;
    this.time.after(1 + this.#dice.below(this.weather.mostDelayMs), () => {
      if (!isCut()) arrive().catch(() => undefined);
    });
  }

  #happens(oneIn: number): boolean {
    return oneIn > 0 && this.#dice.oneIn(oneIn);
  }
}

/** Bytes of a message in hex and JSON, roughly. */
const sizeOf = (message: RingRequest | RingReply): number =>
  JSON.stringify(message, (_, value: unknown) => (value instanceof Uint8Array ? toHex(value) : value)).length;
