import type { Model, Step } from './explorer.ts';
import { writeViolation } from './invariants.ts';
import { type History, highest, Mark, NOBODY, START } from './marks.ts';
import { emptyRecord, ServerRecord } from './record.ts';
import { isBehind, isTaken } from './record-rules.ts';
import type { Rules } from './rules.ts';
import { hasRecord, serve, shownBy } from './server.ts';
import {
  type Bounds,
  clearViews,
  countSeen,
  type Disk,
  encode,
  hasSeen,
  isAlive,
  isLinked,
  living,
  MACHINES,
  type MachineIndex,
  markOf,
  type Process,
  type Request,
  replaceAt,
  SEEN,
  type Server,
  type SlotState,
  type Stage,
  type Store,
  used,
  type World,
  withGhosts,
  withMachine,
  withSeen,
  withServer,
} from './world.ts';

const FIRST = Mark.of(1, 1);
/** The number of the mark that closes a lineage. */
const LAST_NUMBER = 99;
/** The boot that a liar makes up for a reservation. */
const LIAR = 63;

/** One exchange: the world after the server acted, and the record that it showed; `undefined` when no answer came. */
interface Exchange {
  readonly name: string;
  readonly world: World;
  readonly shown: ServerRecord | undefined;
}

/** A node that runs, and its place. */
interface Actor {
  readonly at: MachineIndex;
  readonly process: Process;
  readonly disk: Disk;
}

/** The network of lineage, claims, heads and generations, under a set of rules. */
export class NetworkModel implements Model<World> {
  readonly initial: World;
  readonly #rules: Rules;
  readonly #bounds: Bounds;

  constructor(rules: Rules, bounds: Bounds) {
    this.#rules = rules;
    this.#bounds = bounds;
    const history = START.plus(FIRST);
    const disk: Disk = { store: { history, open: [], lineage: 0, former: [] }, file: [0] };
    const process: Process = {
      boot: 1,
      stage: 'holding',
      number: 1,
      seen: 1,
      opensBy: 0,
      making: 0,
      rotation: 'none',
      accepts: false,
      accepted: START,
      hasMetNewer: false,
      deadBefore: [],
    };
    const record = ServerRecord.of(FIRST, FIRST, history);
    const generations = bounds.generations + 1;
    const places = rules.lineage ? bounds.rotations + 1 : generations;
    const server = (has: boolean): Server => ({
      slots: [has ? 'linked' : 'none', ...Array<SlotState>(bounds.generations).fill('none')],
      records: [has ? record : emptyRecord, ...Array<ServerRecord>(places - 1).fill(emptyRecord)],
      told: has ? history : START,
      toldIn: 0,
      inbox: [],
      heard: NOBODY,
      views: [0, 0],
    });
    this.initial = {
      machines: [
        { disk, process },
        { disk: undefined, process: undefined },
      ],
      servers: Array.from({ length: bounds.servers }, (_, index) =>
        server(index >= bounds.servers - bounds.slots),
      ),
      saved: undefined,
      lineageOf: Array<number>(generations).fill(0),
      ghosts: {
        newest: { mark: FIRST, disk, hasWritten: true },
        held: [1],
        ended: [],
        acknowledged: history,
        acknowledgedIn: 0,
      },
      used: {
        boots: 1,
        writes: 0,
        generations: 0,
        restarts: 0,
        restores: 0,
        delays: 0,
        accepts: 0,
        rotations: 0,
      },
    };
  }

  encode(world: World): string {
    return encode(world, this.#bounds.lies);
  }

  steps(world: World): readonly Step<World>[] {
    return [
      ...MACHINES.flatMap((at) => this.#machineSteps(world, at)),
      ...world.servers.flatMap((_server, at) => this.#serverSteps(world, at)),
      ...this.#hostSteps(world),
    ];
  }

  #isLiar(index: number): boolean {
    return this.#bounds.lies && index === this.#bounds.servers - 1;
  }

  #indexOf(world: World): (generation: number) => number {
    return this.#rules.lineage
      ? (generation) => world.lineageOf[generation] ?? 0
      : (generation) => generation;
  }

  #serve(world: World, server: Server, request: Request): Server {
    return serve(server, request, this.#indexOf(world), this.#rules);
  }

  #shown(world: World, server: Server, generation: number): ServerRecord | undefined {
    return shownBy(server, generation, this.#indexOf(world), this.#rules);
  }

  // ---- machines

  #machineSteps(world: World, at: MachineIndex): Step<World>[] {
    const { disk, process } = world.machines[at];
    if (disk === undefined) return [];
    const label = at === 0 ? 'A' : 'B';
    if (process === undefined) return this.#boots(world, at, disk, label);
    const steps: Step<World>[] = [{ name: 'ends', next: this.#end(world, at) }];
    const actor = { at, process, disk };
    for (const index of world.servers.keys()) steps.push(...this.#talk(world, actor, index));
    steps.push(...this.#alone(world, actor));
    return steps.map((step) => ({ ...step, name: `${label} ${step.name}` }));
  }

  #boots(world: World, at: MachineIndex, disk: Disk, label: string): Step<World>[] {
    const { boots, accepts } = world.used;
    if (boots >= this.#bounds.boots) return [];
    const boot = boots + 1;
    const choices = accepts < this.#bounds.accepts ? [false, true] : [false];
    // Only the generations of the store's own key open it.
    const usable = disk.file.filter((generation) => world.lineageOf[generation] === disk.store.lineage);
    return usable.flatMap((opensBy) =>
      choices.map((isAccepting) => {
        const process: Process = {
          boot,
          stage: 'recovering',
          number: 0,
          seen: disk.store.history.last.number,
          opensBy,
          making: 0,
          rotation: 'none',
          accepts: isAccepting,
          accepted: START,
          hasMetNewer: false,
          deadBefore: world.ghosts.ended,
        };
        const began = used(clearViews(world, at), 'boots');
        return {
          name: `${label} boots as ${boot} by generation ${opensBy}${isAccepting ? ', accepting its store' : ''}`,
          next: withMachine(isAccepting ? used(began, 'accepts') : began, at, { process }),
        };
      }),
    );
  }

  #end(world: World, at: MachineIndex): World {
    const { process } = world.machines[at];
    const { ended } = world.ghosts;
    const boots = process === undefined ? ended : [...ended, process.boot].sort((one, other) => one - other);
    return withGhosts(withMachine(clearViews(world, at), at, { process: undefined }), { ended: boots });
  }

  /** One exchange with one server. */
  #talk(world: World, actor: Actor, index: number): Step<World>[] {
    const server = world.servers[index];
    if (server === undefined) return [];
    const has = (what: keyof typeof SEEN) => hasSeen(server, actor.at, what);
    switch (actor.process.stage) {
      case 'recovering':
        return has('granted') ? [] : this.#recover(world, actor, index, server);
      case 'reserving':
        return has('reserved') || has('taken') ? [] : this.#reserve(world, actor, index, server);
      case 'showing': {
        const shows = has('shown') ? [] : this.#claim(world, actor, index, server);
        return this.#rules.holdsFirst ? shows : [...shows, ...this.#enrol(world, actor, index, server)];
      }
      case 'sweeping':
        return has('swept') ? [] : this.#sweep(world, actor, index, server);
      case 'relinking':
        return has('enrolled') ? [] : this.#relink(world, actor, index);
      case 'holding':
        if (actor.process.rotation === 'keyed') return [];
        return [
          ...this.#status(world, actor, index, server),
          ...this.#enrol(world, actor, index, server),
          ...this.#update(world, actor, index, server),
          ...this.#close(world, actor, index, server),
        ];
      case 'recording':
        return has('swept') ? [] : this.#askFormer(world, actor, index, server);
      default:
        return [];
    }
  }

  /** What a node does without a server. */
  #alone(world: World, actor: Actor): Step<World>[] {
    const { at, process, disk } = actor;
    const { writesHeld } = this.#rules;
    const steps: Step<World>[] = [];
    switch (process.stage) {
      case 'reserving':
      case 'showing':
        if (this.#rules.sweeps && this.#isLost(world, disk)) {
          const next = this.#to(clearViews(world, at), actor, { stage: 'sweeping' });
          steps.push({ name: 'has lost its slots', next });
        }
        if (writesHeld || process.stage === 'reserving') break;
        steps.push(...this.#write(world, actor), ...this.#commit(world, actor));
        break;
      case 'sweeping':
        if (this.#rules.countsSilence || countSeen(world, at, 'swept') === this.#bounds.servers) {
          if (process.making !== 0 || world.used.generations < this.#bounds.generations) {
            steps.push({ name: 'begins a generation', next: this.#beginRelinking(world, actor) });
          }
        }
        break;
      case 'relinking':
        if (countSeen(world, at, 'enrolled') >= this.#bounds.threshold) {
          const next = this.#rules.linksUnmarked
            ? this.#choose(this.#to(world, actor, { opensBy: process.making }), at, process.seen)
            : this.#holdRelinked(world, actor, process.seen + 1);
          steps.push({ name: 'has linked its new slots', next });
        }
        break;
      case 'recording': {
        if (this.#mustAskFormer(world, actor)) break;
        const violation = writeViolation(world, actor.process, disk, true, this.#bounds);
        const next = this.#append(world, actor, { stage: 'holding', opensBy: 0, accepts: false });
        steps.push({ name: 'writes its boot record', next, violation });
        break;
      }
      case 'holding':
        steps.push(...this.#write(world, actor), ...this.#commit(world, actor), ...this.#rekey(world, actor));
        break;
    }
    return steps;
  }

  #to(world: World, { at }: Actor, change: Partial<Process>): World {
    const { process } = world.machines[at];
    return process === undefined ? world : withMachine(world, at, { process: { ...process, ...change } });
  }

  // ---- exchanges

  /** What may become of a request that the node sends now. */
  #exchange(
    world: World,
    index: number,
    name: string,
    request: Request,
    read: (server: Server) => ServerRecord | undefined,
  ): Exchange[] {
    const before = world.servers[index];
    if (before === undefined) return [];
    const isLiar = this.#isLiar(index);
    const heard = isLiar && request.mark?.beats(before.heard) ? { ...before, heard: request.mark } : before;
    const after = this.#serve(world, heard, request);
    const acted = after === before ? world : withServer(world, index, after);
    const exchanges: Exchange[] = [{ name, world: acted, shown: read(after) }];
    if (isLiar) {
      const deaf = withServer(world, index, heard);
      exchanges.push(
        ...this.#lies(heard, read(after)).map((lie) => ({
          name: `${name}, ${lie.name}`,
          world: deaf,
          shown: lie.shown,
        })),
      );
    }
    if (this.#bounds.losesAnswers && acted !== world) {
      exchanges.push({ name: `${name}, answer lost`, world: acted, shown: undefined });
    }
    if (world.used.delays < this.#bounds.delays && acted !== world) {
      const late = withServer(world, index, { ...before, inbox: [...before.inbox, request] });
      exchanges.push({ name: `${name}, delayed`, world: used(late, 'delays'), shown: undefined });
    }
    return exchanges;
  }

  /** What a liar shows instead of the truth; it does nothing. */
  #lies({ heard }: Server, truth: ServerRecord | undefined): { name: string; shown: ServerRecord }[] {
    const { reserved, mark, head } = truth ?? emptyRecord;
    const tooHigh = Mark.of(reserved.number + 1, LIAR);
    return [
      { name: 'a lie: nothing', shown: ServerRecord.of(FIRST, FIRST, START.plus(FIRST)) },
      { name: 'a lie: all that it heard', shown: ServerRecord.of(highest(reserved, heard), heard, head) },
      { name: 'a lie: a number too high', shown: ServerRecord.of(tooHigh, mark, head) },
    ];
  }

  #recover(world: World, actor: Actor, index: number, server: Server): Step<World>[] {
    const { at, process } = actor;
    if (this.#rules.linkFirst && !isLinked(server, process.opensBy)) return [];
    const truth = this.#shown(world, server, process.opensBy);
    if (truth === undefined) return [];
    const isLiar = this.#isLiar(index);
    const answers = [{ name: '', shown: truth }, ...(isLiar ? this.#lies(server, truth) : [])];
    return answers.map(({ name: lie, shown }) => {
      const name = `gets a grant of s${index}${lie === '' ? '' : `, ${lie}`}`;
      const head = shown.head;
      const accepted =
        process.accepts && isBehind(process.accepted, head, this.#rules) ? head : process.accepted;
      if (isClosed(shown)) return this.#refuse(world, actor, name);
      if (!process.accepts && this.#isBehind(actor, head)) return this.#refuse(world, actor, name);
      const seen = Math.max(
        process.seen,
        shown.reserved.number,
        shown.mark.number,
        process.accepts ? head.last.number : 0,
      );
      const granted = withSeen(this.#to(world, actor, { seen, accepted }), at, index, 'granted');
      if (countSeen(granted, at, 'granted') < this.#bounds.threshold) return { name, next: granted };
      return { name, next: this.#choose(granted, at, seen) };
    });
  }

  #isBehind({ disk, process }: Actor, head: History): boolean {
    const { history } = disk.store;
    if (!isBehind(history, head, this.#rules)) return false;
    return !process.accepts || isBehind(process.accepted, head, this.#rules);
  }

  /** Takes a number above all that were seen. */
  #choose(world: World, at: MachineIndex, seen: number): World {
    const { process } = world.machines[at];
    if (process === undefined) return world;
    const stage: Stage = this.#rules.reserves ? 'reserving' : 'showing';
    const change = { ...process, seen, number: seen + 1, stage, deadBefore: world.ghosts.ended };
    return withMachine(clearViews(world, at, SEEN.enrolled), at, { process: change });
  }

  #reserve(world: World, actor: Actor, index: number, server: Server): Step<World>[] {
    const { at, process } = actor;
    const generation = process.opensBy;
    const before = this.#shown(world, server, generation);
    if (before === undefined) return [];
    const wish = markOf(process);
    const exchanges = this.#exchange(
      world,
      index,
      `reserves ${wish.number} at s${index}`,
      { kind: 'reserve', generation, mark: wish },
      (after) => this.#shown(world, after, generation),
    );
    return exchanges.map(({ name, world: after, shown }) => {
      if (shown === undefined) return { name, next: after };
      if (isClosed(shown)) return this.#refuse(after, actor, name);
      if (this.#rules.comparesTwice && this.#isBehind(actor, shown.head))
        return this.#refuse(after, actor, name);
      if (isTaken(shown, wish)) {
        const seen = Math.max(process.seen, shown.reserved.number);
        const taken = withSeen(this.#to(after, actor, { seen }), at, index, 'taken');
        const possible = living(taken, generation) - countSeen(taken, at, 'taken');
        const isHopeless = possible < this.#bounds.threshold;
        return { name: `${name}: taken`, next: isHopeless ? this.#choose(taken, at, seen) : taken };
      }
      const told = withSeen(after, at, index, 'reserved');
      const isEnough = countSeen(told, at, 'reserved') >= this.#bounds.threshold;
      const next = isEnough
        ? this.#to(clearViews(told, at, SEEN.enrolled), actor, { stage: 'showing' })
        : told;
      return { name, next };
    });
  }

  #claim(world: World, actor: Actor, index: number, server: Server): Step<World>[] {
    const { at, process } = actor;
    const generation = process.opensBy;
    if (this.#shown(world, server, generation) === undefined) return [];
    const mark = markOf(process);
    const exchanges = this.#exchange(
      world,
      index,
      `shows ${mark.number} at s${index}`,
      { kind: 'claim', generation, mark },
      (after) => this.#shown(world, after, generation),
    );
    return exchanges.map(({ name, world: after, shown }) => {
      if (shown === undefined) return { name, next: after };
      if (isClosed(shown)) return this.#refuse(after, actor, name);
      if (this.#rules.comparesTwice && this.#isBehind(actor, shown.head))
        return this.#refuse(after, actor, name);
      if (shown.mark.beats(mark)) return { name: `${name}: beaten`, next: this.#again(after, actor, shown) };
      const told = withSeen(after, at, index, 'shown');
      const isEnough = countSeen(told, at, 'shown') >= this.#bounds.threshold;
      return { name, next: isEnough ? this.#hold(told, actor) : told };
    });
  }

  /** A newer mark before this boot holds. */
  #again(world: World, actor: Actor, { mark }: ServerRecord): World {
    const seen = Math.max(actor.process.seen, mark.number);
    if (!this.#rules.recoversAgain) return this.#choose(world, actor.at, seen);
    return this.#to(clearViews(world, actor.at), actor, { seen, number: 0, stage: 'recovering' });
  }

  #hold(world: World, actor: Actor): World {
    const { at, process, disk } = actor;
    const stage: Stage = this.#rules.writesHeld ? 'recording' : 'holding';
    const held = [...world.ghosts.held, process.boot].sort((one, other) => one - other);
    const holds = this.#to(clearViews(world, at, SEEN.enrolled), actor, { stage, seen: 0, accepted: START });
    return noteNewest(withGhosts(holds, { held }), markOf(process), disk, false);
  }

  /** Its new slots showed its mark when they were linked. */
  #holdRelinked(world: World, actor: Actor, number: number): World {
    return this.#hold(this.#to(world, actor, { number }), {
      ...actor,
      process: { ...actor.process, number },
    });
  }

  #refuse(world: World, actor: Actor, name: string): Step<World> {
    const { newest } = world.ghosts;
    const isNewest = newest.hasWritten && actor.disk.store === newest.disk.store;
    const violation = isNewest ? 'LOCKED OUT: the disk of the newest holder is refused' : undefined;
    return { name: `${name}: refused as too old`, next: this.#end(world, actor.at), violation };
  }

  // ---- a boot whose slots were lost before it held

  /** Whether no generation of the keyslot file can give the store key any more. */
  #isLost(world: World, { file }: Disk): boolean {
    return file.every((generation) => living(world, generation) < this.#bounds.threshold);
  }

  #sweep(world: World, actor: Actor, index: number, server: Server): Step<World>[] {
    const record = server.records[actor.disk.store.lineage] ?? emptyRecord;
    const name = `asks s${index} for the lineage`;
    if (this.#isBehind(actor, record.head)) return [this.#refuse(world, actor, name)];
    if (record.mark.beats(markOf(actor.process)) && record.mark.number > 0) {
      return [{ name: `${name}: a newer mark`, next: this.#end(world, actor.at) }];
    }
    const seen = Math.max(actor.process.seen, record.reserved.number, record.mark.number);
    return [{ name, next: withSeen(this.#to(world, actor, { seen }), actor.at, index, 'swept') }];
  }

  #beginRelinking(world: World, actor: Actor): World {
    const { at } = actor;
    const began = used(clearViews(world, at), 'generations');
    const making = began.used.generations;
    const lineageOf = replaceAt(began.lineageOf, making, actor.disk.store.lineage);
    return this.#to({ ...began, lineageOf }, actor, { stage: 'relinking', making });
  }

  #relink(world: World, actor: Actor, index: number): Step<World>[] {
    const { at, process } = actor;
    if (countSeen(world, at, 'enrolled') >= this.#bounds.slots) return [];
    const generation = process.making;
    const mark = this.#rules.linksUnmarked ? undefined : Mark.of(process.seen + 1, process.boot);
    const request: Request = { kind: 'link', generation, mark, head: undefined };
    const exchanges = this.#exchange(world, index, `links a new slot at s${index}`, request, (after) =>
      this.#shown(world, after, generation),
    );
    return exchanges.map(({ name, world: after, shown }) => {
      if (shown === undefined) return { name, next: after };
      if (this.#isBehind(actor, shown.head)) return this.#refuse(after, actor, name);
      if (mark !== undefined && shown.mark.beats(mark)) {
        return { name: `${name}: a newer mark`, next: this.#end(after, actor.at) };
      }
      const seen =
        mark === undefined ? Math.max(process.seen, shown.reserved.number, shown.mark.number) : process.seen;
      return { name, next: withSeen(this.#to(after, actor, { seen }), at, index, 'enrolled') };
    });
  }

  // ---- a boot that holds

  /** `key-status` shows the mark, deposits the head, and looks for newer marks. */
  #status(world: World, actor: Actor, index: number, server: Server): Step<World>[] {
    const { at, process, disk } = actor;
    const own = disk.file.filter((generation) => world.lineageOf[generation] === disk.store.lineage);
    const generations = own.filter((generation) => isAlive(server, generation));
    const mark = markOf(process);
    const looked = this.#meet(world, actor, index);
    if (generations.length === 0) {
      const { hasMetNewer } = looked.machines[at].process ?? process;
      return this.#ask(looked, { ...actor, process: { ...process, hasMetNewer } }, index, server);
    }
    const newestOf = (after: Server): ServerRecord | undefined =>
      generations
        .map((generation) => this.#shown(world, after, generation))
        .reduce((one, other) => (one !== undefined && other?.mark.beats(one.mark) ? other : (one ?? other)));
    const request: Request = { kind: 'status', generations, mark, head: disk.store.history };
    return this.#exchange(looked, index, `checks s${index}`, request, newestOf).map(
      ({ name, world: after, shown }) => {
        if (shown === undefined) return { name, next: after };
        if (!shown.mark.beats(mark)) {
          const { next } = this.#acknowledge(after, actor, index);
          return { name, next: process.rotation === 'filed' ? withSeen(next, at, index, 'shown') : next };
        }
        const newer = withSeen(after, at, index, 'newer');
        const { slots, threshold } = this.#bounds;
        const needed = this.#rules.singleMarkFences ? 1 : slots - threshold + 1;
        if (countSeen(newer, at, 'newer') >= needed) return this.#fence(newer, actor, shown.mark, name);
        return { name: `${name}: newer mark`, next: newer };
      },
    );
  }

  /** `lineage-status` where the server knows none of its slots. */
  #ask(world: World, actor: Actor, index: number, server: Server): Step<World>[] {
    const { process, disk } = actor;
    const name = `asks s${index}, which has no slot of it`;
    const mark = markOf(process);
    if (!this.#rules.asksOnUnknown) {
      return process.hasMetNewer ? [{ name: `checks s${index}: unknown`, next: world }] : [];
    }
    const { lineage } = disk.store;
    const record = server.records[lineage] ?? emptyRecord;
    if (record.mark.beats(mark)) return [this.#fence(world, actor, record.mark, name)];
    if (!this.#rules.marksEverywhere || !hasRecord(server, lineage, this.#indexOf(world))) return [];
    const request: Request = {
      kind: 'update',
      lineage,
      mark,
      head: disk.store.history,
      forget: [],
      close: undefined,
    };
    return this.#exchange(world, index, name, request, (after) => after.records[lineage]).map(
      ({ name: said, world: after, shown }) => {
        if (shown === undefined) return { name: said, next: after };
        if (shown.mark.beats(mark)) return this.#fence(after, actor, shown.mark, said);
        return { name: said, ...this.#acknowledge(after, actor, index) };
      },
    );
  }

  /** The server has answered that it has the head. */
  #acknowledge(world: World, { disk }: Actor, index: number): { readonly next: World } {
    const server = world.servers[index];
    const { history } = disk.store;
    if (server === undefined) return { next: world };
    const toldIn = disk.store.lineage;
    const isTold = server.told === history && server.toldIn === toldIn;
    const told = isTold ? world : withServer(world, index, { ...server, told: history, toldIn });
    const { acknowledged } = told.ghosts;
    const isKept = disk.file.some((generation) => {
      const knowing = told.servers.filter(
        (each, place) => !this.#isLiar(place) && isLinked(each, generation) && each.told.contains(history),
      );
      return knowing.length >= this.#bounds.threshold;
    });
    if (!isKept || acknowledged === history) return { next: told };
    if (history.last !== acknowledged.last && !history.last.beats(acknowledged.last)) return { next: told };
    return { next: withGhosts(told, { acknowledged: history, acknowledgedIn: disk.store.lineage }) };
  }

  /** For the invariants: notes that the server knows of a newer boot that held. */
  #meet(world: World, actor: Actor, index: number, mark = markOf(actor.process), lineage?: number): World {
    const { process } = actor;
    const records = world.servers[index]?.records ?? [];
    if (process.hasMetNewer || this.#isLiar(index)) return world;
    const { held } = world.ghosts;
    const isAsked = (index: number): boolean =>
      !this.#rules.lineage || index === (lineage ?? actor.disk.store.lineage);
    const knows = records.some(
      (record, index) => isAsked(index) && record.mark.beats(mark) && isOfHolder(record.mark, held),
    );
    return knows ? this.#to(world, actor, { hasMetNewer: true }) : world;
  }

  #fence(world: World, actor: Actor, by: Mark, name: string): Step<World> {
    const isFalse = actor.process.deadBefore.includes(by.boot) && by.number !== LAST_NUMBER;
    return {
      name: `${name}: fenced by boot ${by.boot}`,
      next: this.#end(world, actor.at),
      violation: isFalse
        ? 'FALSE FENCE: by a boot that had ended before this one took its number'
        : undefined,
    };
  }

  #append(world: World, actor: Actor, change: Partial<Process>): World {
    const { at, process, disk } = actor;
    const mark = markOf(process);
    const written = { ...disk, store: { ...disk.store, history: disk.store.history.plus(mark) } };
    const next = withMachine(this.#to(world, actor, change), at, { disk: written });
    return noteNewest(next, mark, written, true);
  }

  #write(world: World, actor: Actor): Step<World>[] {
    if (world.used.writes >= this.#bounds.writes) return [];
    const violation = writeViolation(world, actor.process, actor.disk, !this.#rules.writesHeld, this.#bounds);
    return [{ name: 'writes', next: this.#append(used(world, 'writes'), actor, {}), violation }];
  }

  // ---- generations

  #enrol(world: World, actor: Actor, index: number, server: Server): Step<World>[] {
    const { at, process, disk } = actor;
    const { lineage, linkFirst } = this.#rules;
    if (hasSeen(server, at, 'enrolled')) return [];
    if (countSeen(world, at, 'enrolled') >= this.#bounds.slots) return [];
    const begins = process.making === 0;
    if (begins && world.used.generations >= this.#bounds.generations) return [];
    const began = begins ? used(world, 'generations') : world;
    const making = begins ? began.used.generations : process.making;
    const name = `enrols at s${index} for generation ${making}`;
    const lineageOf = begins ? replaceAt(began.lineageOf, making, disk.store.lineage) : began.lineageOf;
    const isRotation = process.rotation !== 'none';
    if (isRotation && process.rotation !== 'enrolling') return [];
    const started = this.#to({ ...began, lineageOf }, actor, { making });
    const enroller: Actor = { ...actor, process: { ...process, making } };
    if (!lineage || !linkFirst) {
      const slots = replaceAt<SlotState>(server.slots, making, lineage ? 'unlinked' : 'linked');
      return [
        { name, next: withSeen(withServer(started, index, { ...server, slots }), at, index, 'enrolled') },
      ];
    }
    const looked = this.#meet(started, enroller, index);
    const mark = isRotation ? Mark.of(process.number + 1, process.boot) : markOf(process);
    const head = process.stage === 'holding' && !isRotation ? disk.store.history : undefined;
    const request: Request = { kind: 'link', generation: making, mark, head };
    return this.#exchange(looked, index, name, request, (after) => this.#shown(looked, after, making)).map(
      ({ name: said, world: after, shown }) => {
        if (shown === undefined) return { name: said, next: after };
        if (shown.mark.beats(mark)) {
          if (process.stage !== 'holding')
            return { name: `${said}: beaten`, next: this.#again(after, enroller, shown) };
          return this.#fence(after, enroller, shown.mark, said);
        }
        const { next } = isRotation ? { next: after } : this.#acknowledge(after, enroller, index);
        return { name: said, next: withSeen(next, at, index, 'enrolled') };
      },
    );
  }

  #commit(world: World, actor: Actor): Step<World>[] {
    const { at, process, disk } = actor;
    const enrolled = countSeen(world, at, 'enrolled');
    const { making } = process;
    if (making === 0 || enrolled < this.#bounds.threshold || process.rotation !== 'none') return [];
    const [present] = disk.file;
    const isWhole = enrolled === this.#bounds.slots;
    const file = isWhole || present === undefined ? [making] : [making, present];
    const dropped = disk.file.filter((generation) => !file.includes(generation));
    const mark = markOf(process);
    const store: Store =
      this.#rules.lineage && this.#rules.writesHeld
        ? {
            ...disk.store,
            history: disk.store.history.plus(mark),
            open: [...disk.store.open, ...dropped].sort(),
          }
        : disk.store;
    const hasWritten = process.stage === 'holding';
    const place = (to: Disk): World => {
      const kept = withMachine(this.#to(clearViews(world, at), actor, { making: 0 }), at, { disk: to });
      return noteNewest(kept, mark, to, hasWritten);
    };
    const committed = place({ store, file });
    const next = {
      ...committed,
      servers: committed.servers.map((server) => this.#holdBack(server, dropped, mark, store)),
    };
    const steps: Step<World>[] = [{ name: 'commits a generation', next }];
    if (store !== disk.store) {
      steps.push({
        name: 'ends between store and keyslot file',
        next: this.#end(place({ store, file: disk.file }), at),
      });
    }
    return steps;
  }

  /** The first requests to forget older generations; the host lets them arrive when it likes. */
  #holdBack(server: Server, dropped: readonly number[], mark: Mark, { history, lineage }: Store): Server {
    const forget = dropped.filter((generation) => isAlive(server, generation));
    if (forget.length === 0) return server;
    const head = this.#rules.forgetCarriesHead ? history : undefined;
    const request: Request = { kind: 'update', lineage, mark, head, forget, close: undefined };
    return { ...server, inbox: [...server.inbox, request] };
  }

  /** A holder forgets older generations, and slots that are in no generation of its file. */
  #update(world: World, actor: Actor, index: number, server: Server): Step<World>[] {
    if (!this.#rules.lineage || !this.#bounds.lists) return [];
    const { process, disk } = actor;
    const { store, file } = disk;
    const [present = -1] = file;
    const isConfirmed = process.making === 0 && living(world, present) === this.#bounds.slots;
    const isStray = (generation: number): boolean =>
      isConfirmed && world.lineageOf[generation] === store.lineage && !file.includes(generation);
    const forget = server.slots.flatMap((state, generation) => {
      if (state !== 'linked') return [];
      const isOpen =
        store.open.includes(generation) && !(this.#rules.keepsOwnSlots && file.includes(generation));
      return isOpen || isStray(generation) ? [generation] : [];
    });
    const mark = markOf(process);
    const { lineage, history } = store;
    const record = server.records[lineage] ?? emptyRecord;
    const isLooking = this.#rules.looksAtOlder && store.open.length > 0 && record.mark.beats(mark);
    if (forget.length === 0 && !isLooking) return [];
    const looked = this.#meet(world, actor, index);
    const head = this.#rules.forgetCarriesHead ? history : undefined;
    const request: Request = { kind: 'update', lineage, mark, head, forget, close: undefined };
    return this.#exchange(
      looked,
      index,
      `forgets ${forget} at s${index}`,
      request,
      (after) => after.records[lineage],
    ).map(({ name, world: after, shown }) => {
      const violation = erasure(world, after, this.#bounds);
      if (shown === undefined) return { name, next: after, violation };
      if (shown.mark.beats(mark)) return this.#fence(after, actor, shown.mark, name);
      return { name, next: this.#closeOld(after, actor), violation };
    });
  }

  /** Older generations leave the list when fewer than t of their slots can give their keys. */
  #closeOld(world: World, actor: Actor): World {
    const { store } = actor.disk;
    const open = store.open.filter((generation) => living(world, generation) >= this.#bounds.threshold);
    if (open.length === store.open.length) return world;
    const disk = { ...actor.disk, store: { ...store, open } };
    return noteNewest(withMachine(world, actor.at, { disk }), markOf(actor.process), disk, true);
  }

  // ---- change of the store key

  #rekey(world: World, actor: Actor): Step<World>[] {
    const { at, process, disk } = actor;
    const { making, rotation } = process;
    const { store } = disk;
    const mark = markOf(process);
    const step = (name: string, change: Partial<Process>, to: Disk): Step<World>[] => {
      const next = withMachine(this.#to(world, actor, change), at, { disk: to });
      return [{ name, next: noteNewest(next, Mark.of(change.number ?? mark.number, mark.boot), to, true) }];
    };
    const former = [...store.former, { lineage: store.lineage, mark }];
    switch (rotation) {
      case 'none': {
        if (making !== 0 || world.used.rotations >= this.#bounds.rotations) return [];
        if (world.used.generations >= this.#bounds.generations) return [];
        const began = used(used(world, 'rotations'), 'generations');
        const made = began.used.generations;
        const lineageOf = replaceAt(began.lineageOf, made, began.used.rotations);
        const next = this.#to({ ...began, lineageOf }, actor, { making: made, rotation: 'enrolling' });
        return [{ name: 'begins to change its store key', next }];
      }
      case 'enrolling': {
        if (countSeen(world, at, 'enrolled') < this.#bounds.slots) return [];
        const listed = this.#rules.listsFormerFirst
          ? { ...store, former, history: store.history.plus(mark) }
          : store;
        return step('lists its lineage as former', { rotation: 'listed' }, { ...disk, store: listed });
      }
      case 'listed':
        return step(
          'writes both generations',
          { rotation: 'filed' },
          { ...disk, file: [making, ...disk.file].slice(0, 2) },
        );
      case 'filed': {
        const { slots, threshold } = this.#bounds;
        if (countSeen(world, at, 'shown') <= slots - threshold) return [];
        const lineage = world.lineageOf[making] ?? 0;
        return step(
          'changes the store key',
          { rotation: 'keyed', number: process.number + 1 },
          { ...disk, store: { ...store, lineage } },
        );
      }
      case 'keyed': {
        const last = Mark.of(mark.number - 1, mark.boot);
        const listed = this.#rules.listsFormerFirst
          ? store.former
          : [...store.former, { lineage: store.lineage - 1, mark: last }];
        const next = {
          store: { ...store, former: listed, history: store.history.plus(mark) },
          file: [making],
        };
        const [written] = step(
          'writes its boot record under the new key',
          { rotation: 'none', making: 0 },
          next,
        );
        return written === undefined ? [] : [{ ...written, next: clearViews(written.next, at) }];
      }
    }
  }

  /** Lineages that the store left; its own one is listed when a change of the key did not happen. */
  #formerOf({ store }: Disk): Store['former'] {
    return store.former.filter(({ lineage }) => lineage !== store.lineage);
  }

  #mustAskFormer(world: World, { at, disk }: Actor): boolean {
    if (!this.#rules.asksFormer || this.#formerOf(disk).length === 0) return false;
    const { slots, threshold } = this.#bounds;
    return countSeen(world, at, 'swept') <= slots - threshold;
  }

  /** `lineage-status` under a lineage that the store left, before the first record. */
  #askFormer(world: World, actor: Actor, index: number, { records }: Server): Step<World>[] {
    if (!this.#rules.asksFormer) return [];
    return this.#formerOf(actor.disk).map(({ lineage, mark }) => {
      const shown = records[lineage]?.mark ?? NOBODY;
      const name = `asks s${index} for its former lineage`;
      if (shown.beats(mark) && shown.number !== LAST_NUMBER) return this.#refuse(world, actor, name);
      return { name, next: withSeen(world, actor.at, index, 'swept') };
    });
  }

  /** Closes a lineage that the store left, at one server. */
  #close(world: World, actor: Actor, index: number, server: Server): Step<World>[] {
    if (actor.process.rotation !== 'none') return [];
    return this.#formerOf(actor.disk).flatMap(({ lineage, mark }) => {
      const record = server.records[lineage] ?? emptyRecord;
      if (record.closed || !hasRecord(server, lineage, this.#indexOf(world))) return [];
      const looked = this.#meet(world, actor, index, mark, lineage);
      const close = closing(actor.process.boot);
      const sent = this.#rules.conditionalClose ? mark : close;
      const request: Request = { kind: 'update', lineage, mark: sent, head: undefined, forget: [], close };
      return this.#exchange(
        looked,
        index,
        `closes lineage ${lineage} at s${index}`,
        request,
        (after) => after.records[lineage],
      ).map(({ name, world: after, shown }) => {
        if (shown === undefined) return { name, next: after };
        if (shown.mark.beats(mark) && shown.mark.number !== LAST_NUMBER)
          return this.#fence(after, actor, shown.mark, name);
        return { name, next: after };
      });
    });
  }

  // ---- servers and host

  #serverSteps(world: World, index: number): Step<World>[] {
    const server = world.servers[index];
    if (server === undefined) return [];
    const steps = server.inbox.map((request): Step<World> => {
      const inbox = server.inbox.filter((other) => other !== request);
      const next = withServer(world, index, this.#serve(world, { ...server, inbox }, request));
      const what = request.kind === 'update' ? `forget of generation ${request.forget}` : request.kind;
      const sender = request.mark?.boot ?? 0;
      return {
        name: `s${index} gets the ${what} by boot ${sender}`,
        next,
        violation: erasure(world, next, this.#bounds),
      };
    });
    if (world.used.restarts < this.#bounds.restarts) {
      const empty: Server = {
        ...server,
        slots: server.slots.map(() => 'none'),
        records: server.records.map(() => emptyRecord),
        told: START,
        toldIn: 0,
        // The key of a lineage is the same after a restart, that of a slot is not.
        inbox: server.inbox.filter(({ kind }) => this.#rules.lineage && kind === 'update'),
      };
      steps.push({ name: `s${index} restarts`, next: used(withServer(world, index, empty), 'restarts') });
    }
    return steps;
  }

  #hostSteps(world: World): Step<World>[] {
    const { saved, machines } = world;
    const [first] = machines;
    if (this.#bounds.restores === 0) return [];
    if (saved === undefined) {
      if (first.disk === undefined) return [];
      return [{ name: 'host copies the disk of A', next: { ...world, saved: first.disk } }];
    }
    if (world.used.restores >= this.#bounds.restores) return [];
    const restored = used(world, 'restores');
    return MACHINES.flatMap((at) => {
      const { disk, process } = machines[at];
      if (process !== undefined || (at === 1 && !this.#bounds.clones)) return [];
      const put = (what: string, content: Disk): Step<World> => ({
        name: `host puts ${what} of the copy into ${at === 0 ? 'A' : 'B'}`,
        next: withMachine(restored, at, { disk: content }),
      });
      if (disk === undefined || !this.#bounds.splits) return [put('all', saved)];
      return [
        put('all', saved),
        put('the store', { ...disk, store: saved.store }),
        put('the keyslot file', { ...disk, file: saved.file }),
      ];
    });
  }
}

/** For the invariants: a holder that began to hold, wrote or made a generation, if there is no newer one. */
function noteNewest(world: World, mark: Mark, disk: Disk, hasWritten: boolean): World {
  const { newest } = world.ghosts;
  return newest.mark.beats(mark) ? world : withGhosts(world, { newest: { mark, disk, hasWritten } });
}

/** Whether the disk of the newest holder opened before a request that erases, and does not open after it. */
function erasure(before: World, after: World, bounds: Bounds): string | undefined {
  const opens = (world: World): boolean =>
    before.ghosts.newest.disk.file.some((generation) => living(world, generation) >= bounds.threshold);
  return opens(before) && !opens(after)
    ? 'ERASED: a forget erased the slots of the newest holder'
    : undefined;
}

const isClosed = ({ mark }: ServerRecord): boolean => mark.number === LAST_NUMBER;

const isOfHolder = ({ number, boot }: Mark, held: readonly number[]): boolean =>
  held.includes(boot) || number === LAST_NUMBER;

/** The mark that closes a lineage: it beats all others. */
const closing = (boot: number): Mark => Mark.of(LAST_NUMBER, boot);
