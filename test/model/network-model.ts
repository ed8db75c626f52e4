import type { Model, Step } from './explorer.ts';
import {
  beats,
  deposit,
  emptyRecord,
  type History,
  highest,
  isBehind,
  isFencedBy,
  isPrefix,
  isTaken,
  type Mark,
  mayForget,
  NOBODY,
  type Rules,
  reserve,
  SERVERS,
  type ServerRecord,
  show,
  THRESHOLD,
} from './rules.ts';

/** How much may happen in one run. */
export interface Bounds {
  /** Boots, the first one included. */
  readonly boots: number;
  readonly writes: number;
  /** Generations after the first. */
  readonly generations: number;
  /** Servers that lose their memory. */
  readonly restarts: number;
  /** How often the host puts something back that it copied. */
  readonly restores: number;
  /** Whether answers get lost after the server acted. */
  readonly losesAnswers: boolean;
  /** Whether the host runs its copy on a second machine. */
  readonly clones: boolean;
  /** Whether the host puts store and keyslot file back apart from each other. */
  readonly splits: boolean;
}

/** The content of a machine's disk; the host copies both parts, together or separately. */
interface Disk {
  readonly store: History;
  /** Generations of the keyslot file, the newer first. */
  readonly file: readonly number[];
}

type Stage = 'recovering' | 'reserving' | 'showing' | 'holding' | 'stopped';

interface Process {
  readonly boot: number;
  readonly stage: Stage;
  readonly number: number;
  /** Highest number that it was shown. */
  readonly seen: number;
  /** The generation by which it opens the store. */
  readonly opensBy: number;
  /** The generation that it is making; 0 when none. */
  readonly making: number;
  readonly hasWritten: boolean;
  /** For the invariants: it talked to a server that knew of a newer boot that held. */
  readonly hasMetNewer: boolean;
  /** For the invariants: boots that had ended before it began. */
  readonly deadBefore: readonly number[];
}

interface Machine {
  readonly disk: Disk | undefined;
  readonly process: Process | undefined;
}

/** What one machine's process knows of one server. */
interface View {
  readonly granted?: true;
  readonly reserved?: true;
  readonly taken?: true;
  readonly shown?: true;
  readonly enrolled?: true;
  readonly newer?: true;
}

/** `none`: never made, or lost in a restart; `erased`: by a `forget`. */
type SlotState = 'none' | 'erased' | 'unlinked' | 'linked';

const lives = (state: SlotState | undefined): boolean => state === 'unlinked' || state === 'linked';

interface Forget {
  readonly generation: number;
  readonly mark: Mark;
}

/** Everything that belongs to one server. States that differ in the order of servers alone are one state. */
interface Server {
  /** By generation. */
  readonly slots: readonly SlotState[];
  /** One for the lineage; under the present rules one for each generation. */
  readonly records: readonly ServerRecord[];
  /** For the invariants: the last head that was acknowledged to the node. */
  readonly told: History;
  /** `forget` requests that the network holds back. */
  readonly forgets: readonly Forget[];
  readonly views: readonly [View, View];
}

interface Holder {
  readonly mark: Mark;
  readonly disk: Disk;
  /** Before its first record a holder has lost nothing when another disk is preferred. */
  readonly hasWritten: boolean;
}

/** A state of the whole world. */
export interface World {
  readonly machines: readonly [Machine, Machine];
  readonly servers: readonly Server[];
  /** What the host copied from the first machine. */
  readonly saved: Disk | undefined;
  /** For the invariants: the holder with the newest mark. */
  readonly newest: Holder;
  readonly held: readonly number[];
  readonly ended: readonly number[];
  readonly used: Omit<Bounds, 'losesAnswers' | 'clones' | 'splits'>;
}

const FIRST: Mark = { number: 1, boot: 1 };
const MACHINES = [0, 1] as const;
type MachineIndex = (typeof MACHINES)[number];

const markOf = ({ number, boot }: Process): Mark => ({ number, boot });
const lastMark = (store: History): Mark => store.at(-1) ?? NOBODY;

/** The network of lineage, claims, heads and generations, under a set of rules. */
export class NetworkModel implements Model<World> {
  readonly initial: World;
  readonly #rules: Rules;
  readonly #bounds: Bounds;

  constructor(rules: Rules, bounds: Bounds) {
    this.#rules = rules;
    this.#bounds = bounds;
    const disk: Disk = { store: [FIRST], file: [0] };
    const process: Process = {
      boot: 1,
      stage: 'holding',
      number: 1,
      seen: 1,
      opensBy: 0,
      making: 0,
      hasWritten: true,
      hasMetNewer: false,
      deadBefore: [],
    };
    const record: ServerRecord = { reserved: FIRST, mark: FIRST, head: disk.store };
    const generations = bounds.generations + 1;
    const server: Server = {
      slots: ['linked', ...Array<SlotState>(bounds.generations).fill('none')],
      records: rules.lineage ? [record] : [record, ...Array<ServerRecord>(generations - 1).fill(emptyRecord)],
      told: disk.store,
      forgets: [],
      views: [{}, {}],
    };
    this.initial = {
      machines: [
        { disk, process },
        { disk: undefined, process: undefined },
      ],
      servers: Array<Server>(SERVERS).fill(server),
      saved: undefined,
      newest: { mark: FIRST, disk, hasWritten: true },
      held: [1],
      ended: [],
      used: { boots: 1, writes: 0, generations: 0, restarts: 0, restores: 0 },
    };
  }

  encode({ machines, servers, saved, newest, held, ended, used: counted }: World): string {
    const columns = servers.map(textOf).sort().join('');
    const { boots, writes, generations, restarts, restores } = counted;
    const counts = `${boots},${writes},${generations},${restarts},${restores};${held};${ended}`;
    return `${columns}${textOf(machines[0])}${textOf(machines[1])}${saved && textOf(saved)}${textOf(newest)}${counts}`;
  }

  steps(world: World): readonly Step<World>[] {
    return [
      ...MACHINES.flatMap((at) => this.#machineSteps(world, at)),
      ...world.servers.flatMap((_server, at) => this.#serverSteps(world, at)),
      ...this.#hostSteps(world),
    ];
  }

  // ---- machines

  #machineSteps(world: World, at: MachineIndex): Step<World>[] {
    const { disk, process } = world.machines[at];
    const name = 'AB'[at];
    if (disk === undefined) return [];
    if (process === undefined) return this.#boots(world, at, disk);
    const steps: Step<World>[] = [{ name: `${name} ends`, next: this.#end(world, at) }];
    if (process.stage === 'stopped') return steps;
    for (const server of world.servers.keys()) {
      steps.push(
        ...this.#talk(world, at, server).map((step) => ({ ...step, name: `${name}: ${step.name}` })),
      );
    }
    if (this.#mayWrite(process) && world.used.writes < this.#bounds.writes) {
      steps.push({ ...this.#write(world, at, disk, process), name: `${name} writes` });
    }
    const commit = this.#commit(world, at, disk, process);
    if (commit !== undefined) steps.push({ name: `${name} commits a generation`, next: commit });
    return steps;
  }

  #mayWrite({ stage }: Process): boolean {
    return stage === 'holding' || (stage === 'showing' && !this.#rules.writesHeld);
  }

  #boots(world: World, at: MachineIndex, disk: Disk): Step<World>[] {
    if (world.used.boots >= this.#bounds.boots) return [];
    const boot = world.used.boots + 1;
    return disk.file.map((opensBy) => ({
      name: `${'AB'[at]} boots by generation ${opensBy}`,
      next: withProcess(used(clearViews(world, at), { boots: boot }), at, {
        boot,
        stage: 'recovering',
        number: 0,
        seen: 0,
        opensBy,
        making: 0,
        hasWritten: false,
        hasMetNewer: false,
        deadBefore: world.ended,
      }),
    }));
  }

  #end(world: World, at: MachineIndex): World {
    const { process } = world.machines[at];
    const ended = process === undefined ? world.ended : [...world.ended, process.boot].sort();
    return { ...withProcess(clearViews(world, at), at, undefined), ended };
  }

  /** One exchange with one server, answered or with a lost answer. */
  #talk(world: World, at: MachineIndex, server: number): Step<World>[] {
    const { process } = world.machines[at];
    const view = world.servers[server]?.views[at] ?? {};
    switch (process?.stage) {
      case 'recovering':
        return view.granted ? [] : this.#grant(world, at, server);
      case 'reserving':
        return view.reserved || view.taken ? [] : this.#reserve(world, at, server);
      case 'showing':
        return [
          ...(view.shown ? [] : this.#show(world, at, server)),
          ...(this.#rules.holdsFirst ? [] : this.#enrol(world, at, server)),
        ];
      case 'holding':
        return [...this.#status(world, at, server), ...this.#enrol(world, at, server)];
      default:
        return [];
    }
  }

  /** The record that a slot shows, or `undefined` when the server has no such slot. */
  #recordOf({ slots, records }: Server, generation: number): ServerRecord | undefined {
    const state = slots[generation];
    if (!lives(state)) return undefined;
    if (!this.#rules.lineage) return records[generation];
    return state === 'linked' ? records[0] : emptyRecord;
  }

  #withRecord(server: Server, generation: number, record: ServerRecord): Server {
    const index = this.#rules.lineage ? 0 : generation;
    return { ...server, records: server.records.map((old, at) => (at === index ? record : old)) };
  }

  #grant(world: World, at: MachineIndex, index: number): Step<World>[] {
    const { server, process, disk } = parts(world, at, index);
    const record = this.#recordOf(server, process.opensBy);
    if (record === undefined) return [];
    if (this.#rules.linkFirst && server.slots[process.opensBy] !== 'linked') return [];
    const name = `grant of s${index}`;
    if (isBehind(disk.store, record.head, this.#rules)) return [this.#refuse(world, at, name)];
    const seen = Math.max(process.seen, record.reserved.number, record.mark.number);
    const granted = withView(withProcess(world, at, { ...process, seen }), at, index, { granted: true });
    if (count(granted, at, 'granted') < THRESHOLD) return [{ name, next: granted }];
    return [{ name, next: this.#choose(granted, at, Math.max(seen, lastMark(disk.store).number)) }];
  }

  /** Takes a number above all that were seen. */
  #choose(world: World, at: MachineIndex, seen: number): World {
    const { process } = world.machines[at];
    if (process === undefined) return world;
    const stage = this.#rules.reserves ? 'reserving' : 'showing';
    return withProcess(clearViews(world, at), at, { ...process, seen, number: seen + 1, stage });
  }

  #reserve(world: World, at: MachineIndex, index: number): Step<World>[] {
    const { server, process } = parts(world, at, index);
    const record = this.#recordOf(server, process.opensBy);
    if (record === undefined) return [];
    const wish = markOf(process);
    const name = `reserves ${wish.number} at s${index}`;
    if (isTaken(record, wish)) {
      const seen = Math.max(process.seen, record.reserved.number);
      const taken = withView(withProcess(world, at, { ...process, seen }), at, index, { taken: true });
      const isHopeless = count(taken, at, 'taken') > SERVERS - THRESHOLD;
      return [{ name: `${name}: taken`, next: isHopeless ? this.#choose(taken, at, seen) : taken }];
    }
    const after = this.#withRecord(server, process.opensBy, reserve(record, wish));
    const lost = withServer(world, index, after);
    const told = withView(lost, at, index, { reserved: true });
    const isEnough = count(told, at, 'reserved') >= THRESHOLD;
    const next = isEnough ? withProcess(clearViews(told, at), at, { ...process, stage: 'showing' }) : told;
    return [{ name, next }, ...this.#lost(name, lost)];
  }

  #show(world: World, at: MachineIndex, index: number): Step<World>[] {
    const { server, process, disk } = parts(world, at, index);
    const record = this.#recordOf(server, process.opensBy);
    if (record === undefined) return [];
    const mark = markOf(process);
    const name = `shows ${mark.number} at s${index}`;
    if (beats(record.mark, mark)) return [{ name: `${name}: beaten`, next: this.#again(world, at, record) }];
    if (this.#rules.comparesTwice && isBehind(disk.store, record.head, this.#rules)) {
      return [this.#refuse(world, at, name)];
    }
    const lost = withServer(world, index, this.#withRecord(server, process.opensBy, show(record, mark)));
    const shown = withView(lost, at, index, { shown: true });
    const next = count(shown, at, 'shown') < THRESHOLD ? shown : this.#hold(shown, at, process);
    return [{ name, next }, ...this.#lost(name, lost)];
  }

  #hold(world: World, at: MachineIndex, process: Process): World {
    const holding = { ...process, stage: 'holding' } as const;
    const held = [...world.held, process.boot].sort();
    const next = { ...withProcess(clearViews(world, at), at, holding), held };
    const { disk } = world.machines[at];
    return disk === undefined ? next : noteNewest(next, markOf(process), disk, false);
  }

  /** A newer mark before this boot holds: it restarts the recovery; under the present rules it claims above it. */
  #again(world: World, at: MachineIndex, { mark }: ServerRecord): World {
    const { process } = world.machines[at];
    if (process === undefined) return world;
    if (!this.#rules.reserves) return this.#choose(world, at, mark.number);
    const seen = Math.max(process.seen, mark.number);
    return withProcess(clearViews(world, at), at, { ...process, seen, number: 0, stage: 'recovering' });
  }

  #refuse(world: World, at: MachineIndex, name: string): Step<World> {
    const { disk, process } = world.machines[at];
    const { newest } = world;
    const isNewest = newest.hasWritten && disk !== undefined && isSameStore(disk, newest.disk);
    const next = withProcess(world, at, process && { ...process, stage: 'stopped' });
    const violation = isNewest ? 'LOCKED OUT: the disk of the newest holder is refused' : undefined;
    return { name: `${name}: refused as too old`, next, violation };
  }

  /** `key-status` of a boot that holds: shows the mark, deposits the head, and looks for newer marks. */
  #status(world: World, at: MachineIndex, index: number): Step<World>[] {
    const { server, process, disk } = parts(world, at, index);
    const name = `status at s${index}`;
    const met = this.#meet(world, process, server);
    const known = disk.file.filter((generation) => this.#recordOf(server, generation) !== undefined);
    if (known.length === 0) {
      const asked = this.#rules.asksOnUnknown ? server.records[0] : undefined;
      if (asked !== undefined && beats(asked.mark, markOf(process))) {
        return [this.#fence(withProcess(world, at, met), at, asked.mark, `${name}: unknown, asks`)];
      }
      return met === process ? [] : [{ name: `${name}: unknown`, next: withProcess(world, at, met) }];
    }
    const mark = markOf(process);
    const newer = known
      .map((generation) => this.#recordOf(server, generation)?.mark ?? NOBODY)
      .filter((shown) => beats(shown, mark));
    const looked = withProcess(world, at, met);
    if (newer.length > 0) {
      const seen = withView(looked, at, index, { newer: true });
      if (isFencedBy(count(seen, at, 'newer'), this.#rules)) {
        return [this.#fence(seen, at, newer.reduce(highest), name)];
      }
      return [{ name: `${name}: newer mark`, next: seen }];
    }
    let after = server;
    for (const generation of known) {
      after = link(after, generation);
      const record = this.#recordOf(after, generation) ?? emptyRecord;
      const shown = show(record, mark);
      after = this.#withRecord(after, generation, deposit(shown, mark, disk.store, this.#rules));
    }
    const lost = withServer(looked, index, after);
    return [
      { name, next: withServer(lost, index, { ...after, told: disk.store }) },
      ...this.#lost(name, lost),
    ];
  }

  /** For the invariants: notes that the server knows of a newer boot that held. */
  #meet({ held }: World, process: Process, { records }: Server): Process {
    if (process.hasMetNewer) return process;
    const mark = markOf(process);
    const knows = records.some((record) => beats(record.mark, mark) && held.includes(record.mark.boot));
    return knows ? { ...process, hasMetNewer: true } : process;
  }

  #fence(world: World, at: MachineIndex, by: Mark, name: string): Step<World> {
    const { process } = world.machines[at];
    const isFalse = process?.deadBefore.includes(by.boot);
    return {
      name: `${name}: fenced by boot ${by.boot}`,
      next: withProcess(world, at, process && { ...process, stage: 'stopped' }),
      violation: isFalse ? 'FALSE FENCE: by a boot that ended before this one began' : undefined,
    };
  }

  #write(world: World, at: MachineIndex, disk: Disk, process: Process): Step<World> {
    const mark = markOf(process);
    const violation = this.#writeViolation(world, disk, process);
    const written: Disk = { ...disk, store: [...disk.store, mark] };
    const writes = world.used.writes + 1;
    const next = withDisk(
      withProcess(used(world, { writes }), at, { ...process, hasWritten: true }),
      at,
      written,
    );
    return { name: 'writes', next: noteNewest(next, mark, written, true), violation };
  }

  #writeViolation({ servers }: World, { store }: Disk, process: Process): string | undefined {
    if (process.hasMetNewer) {
      return 'TWO WRITERS: it writes after a server showed that a newer boot held';
    }
    if (process.hasWritten) return undefined;
    const lost = servers.filter(({ slots, told }) => lives(slots[process.opensBy]) && !isPrefix(told, store));
    return lost.length >= THRESHOLD
      ? 'ROLLED BACK: t servers of the generation had acknowledged a head that is lost'
      : undefined;
  }

  // ---- generations

  #enrol(world: World, at: MachineIndex, index: number): Step<World>[] {
    const { server, process, disk } = parts(world, at, index);
    const { lineage, linkFirst } = this.#rules;
    if (server.views[at].enrolled) return [];
    const begins = process.making === 0;
    if (begins && world.used.generations >= this.#bounds.generations) return [];
    const making = begins ? world.used.generations + 1 : process.making;
    const name = `enrols at s${index} for generation ${making}`;
    const started = begins ? used(world, { generations: making }) : world;
    // A grant contains nothing about other boots; the answer that links the slot does.
    const met = { ...(linkFirst ? this.#meet(world, process, server) : process), making };
    const mark = markOf(process);
    let after: Server = withSlot(server, making, lineage ? 'unlinked' : 'linked');
    if (lineage && linkFirst) {
      const record = server.records[0] ?? emptyRecord;
      if (beats(record.mark, mark)) {
        const seen = withProcess(withServer(started, index, after), at, met);
        if (process.stage !== 'holding')
          return [{ name: `${name}: beaten`, next: this.#again(seen, at, record) }];
        return [this.#fence(seen, at, record.mark, name)];
      }
      after = link(after, making);
      after = this.#withRecord(after, making, deposit(show(record, mark), mark, disk.store, this.#rules));
      after = { ...after, told: disk.store };
    }
    const next = withView(withProcess(withServer(started, index, after), at, met), at, index, {
      enrolled: true,
    });
    return [{ name, next }];
  }

  #commit(world: World, at: MachineIndex, disk: Disk, process: Process): World | undefined {
    const enrolled = count(world, at, 'enrolled');
    if (process.making === 0 || enrolled < THRESHOLD) return undefined;
    const isWhole = enrolled === SERVERS;
    const [newest] = disk.file;
    const file = isWhole || newest === undefined ? [process.making] : [process.making, newest];
    const dropped = disk.file.filter((generation) => !file.includes(generation));
    const forgets = dropped.map((generation) => ({ generation, mark: markOf(process) }));
    const servers = world.servers.map((server) => ({
      ...server,
      forgets: [...server.forgets, ...forgets],
      views: server.views.map((view, index) => (index === at ? omitEnrolled(view) : view)) as [View, View],
    }));
    const committed = withDisk({ ...world, servers }, at, { ...disk, file });
    const next = withProcess(committed, at, { ...process, making: 0 });
    return noteNewest(next, markOf(process), { ...disk, file }, process.hasWritten);
  }

  // ---- servers and host

  #serverSteps(world: World, index: number): Step<World>[] {
    const server = world.servers[index];
    if (server === undefined) return [];
    const steps: Step<World>[] = server.forgets.map((forget) => this.#deliver(world, index, server, forget));
    if (world.used.restarts < this.#bounds.restarts) {
      const slots = server.slots.map(() => 'none' as const);
      const records = server.records.map(() => emptyRecord);
      const empty: Server = { ...server, slots, records, told: [], forgets: [] };
      const restarts = world.used.restarts + 1;
      steps.push({ name: `s${index} restarts`, next: used(withServer(world, index, empty), { restarts }) });
    }
    return steps;
  }

  #deliver(world: World, index: number, server: Server, forget: Forget): Step<World> {
    const forgets = server.forgets.filter((other) => other !== forget);
    const record = this.#recordOf(server, forget.generation);
    const erases = record !== undefined && mayForget(record, forget.mark, this.#rules);
    const after = erases
      ? withSlot({ ...server, forgets }, forget.generation, 'erased')
      : { ...server, forgets };
    const next = withServer(world, index, after);
    const isLost = mayOpen(world, world.newest.disk) && !mayOpen(next, world.newest.disk);
    return {
      name: `s${index} gets the forget of generation ${forget.generation} by boot ${forget.mark.boot}`,
      next,
      violation: isLost ? 'ERASED: a forget erased the slots of the newest holder' : undefined,
    };
  }

  #hostSteps(world: World): Step<World>[] {
    const { saved, machines } = world;
    const [first] = machines;
    if (saved === undefined) {
      return first.disk === undefined
        ? []
        : [{ name: 'host copies the disk of A', next: { ...world, saved: first.disk } }];
    }
    if (world.used.restores >= this.#bounds.restores) return [];
    const restored = used(world, { restores: world.used.restores + 1 });
    return MACHINES.flatMap((at) => {
      const { disk, process } = machines[at];
      if (process !== undefined || (at === 1 && !this.#bounds.clones)) return [];
      const put = (what: string, content: Disk): Step<World> => ({
        name: `host puts ${what} of the copy into ${'AB'[at]}`,
        next: withDisk(restored, at, content),
      });
      if (disk === undefined || !this.#bounds.splits) return [put('all', saved)];
      return [
        put('all', saved),
        put('the store', { ...disk, store: saved.store }),
        put('the keyslot file', { ...disk, file: saved.file }),
      ];
    });
  }

  #lost(name: string, next: World): Step<World>[] {
    return this.#bounds.losesAnswers ? [{ name: `${name}, answer lost`, next }] : [];
  }
}

/** JSON of a part; most parts are shared by many states. */
function textOf(part: object): string {
  const known = texts.get(part);
  if (known !== undefined) return known;
  const text = JSON.stringify(part);
  texts.set(part, text);
  return text;
}

const texts = new WeakMap<object, string>();

// ---- changes of a world

function parts(world: World, at: MachineIndex, index: number) {
  const { process, disk } = world.machines[at];
  const server = world.servers[index];
  if (process === undefined || disk === undefined || server === undefined)
    throw new TypeError('no such part');
  return { process, disk, server };
}

const replaceAt = <Item>(items: readonly Item[], at: number, item: Item): Item[] =>
  items.map((old, index) => (index === at ? item : old));

function withMachine(world: World, at: MachineIndex, change: Partial<Machine>): World {
  const [a, b] = world.machines;
  return at === 0
    ? { ...world, machines: [{ ...a, ...change }, b] }
    : { ...world, machines: [a, { ...b, ...change }] };
}

const withProcess = (world: World, at: MachineIndex, process: Process | undefined): World =>
  withMachine(world, at, { process });
const withDisk = (world: World, at: MachineIndex, disk: Disk): World => withMachine(world, at, { disk });
const withServer = (world: World, index: number, server: Server): World => ({
  ...world,
  servers: replaceAt(world.servers, index, server),
});
const withSlot = (server: Server, generation: number, state: SlotState): Server => ({
  ...server,
  slots: replaceAt(server.slots, generation, state),
});
const link = (server: Server, generation: number): Server => withSlot(server, generation, 'linked');
const used = (world: World, change: Partial<World['used']>): World => ({
  ...world,
  used: { ...world.used, ...change },
});

function withView(world: World, at: MachineIndex, index: number, change: View): World {
  const server = world.servers[index];
  if (server === undefined) return world;
  const [a, b] = server.views;
  const views: Server['views'] = at === 0 ? [{ ...a, ...change }, b] : [a, { ...b, ...change }];
  return withServer(world, index, { ...server, views });
}

function clearViews(world: World, at: MachineIndex): World {
  const servers = world.servers.map((server): Server => {
    const [a, b] = server.views;
    if (Object.keys(server.views[at]).length === 0) return server;
    return { ...server, views: at === 0 ? [{}, b] : [a, {}] };
  });
  return { ...world, servers };
}

function omitEnrolled({ enrolled: _enrolled, ...rest }: View): View {
  return rest;
}

const count = ({ servers }: World, at: MachineIndex, what: keyof View): number =>
  servers.filter(({ views }) => views[at][what]).length;

/** For the invariants: a holder that began to hold, wrote or made a generation, if there is no newer one. */
function noteNewest(world: World, mark: Mark, disk: Disk, hasWritten: boolean): World {
  return beats(world.newest.mark, mark) ? world : { ...world, newest: { mark, disk, hasWritten } };
}

const isSameStore = ({ store: one }: Disk, { store: other }: Disk): boolean =>
  isPrefix(one, other) && isPrefix(other, one);

/** Whether a keyslot file has a generation of which `forget` has erased at most n − t slots. */
const mayOpen = ({ servers }: World, { file }: Disk): boolean =>
  file.some(
    (generation) => servers.filter(({ slots }) => slots[generation] !== 'erased').length >= THRESHOLD,
  );
