import { type History, Mark } from './marks.ts';
import type { ServerRecord } from './record.ts';

/** How much may happen in one run. */
export interface Bounds {
  readonly servers: number;
  /** Slots of a generation, and how many of them open the store. */
  readonly slots: number;
  readonly threshold: number;
  /** Boots, the first one included. */
  readonly boots: number;
  /** Records besides boot records and those of generations. */
  readonly writes: number;
  /** Generations after the first. */
  readonly generations: number;
  /** Servers that lose their memory. */
  readonly restarts: number;
  /** How often the host puts something back that it copied. */
  readonly restores: number;
  /** Requests, other than those that forget, that arrive after their sender gave up. */
  readonly delays: number;
  /** Boots with `--accept-rolled-back-store`. */
  readonly accepts: number;
  /** Changes of the store key. */
  readonly rotations: number;
  /** Marks that a thief of a former store key, who has no machine, shows. */
  readonly thefts: number;
  /** Whether answers get lost after the server acted. */
  readonly losesAnswers: boolean;
  /** Whether the host runs its copy on a second machine. */
  readonly clones: boolean;
  /** Whether the host puts store and keyslot file back apart from each other. */
  readonly splits: boolean;
  /** Whether holders work through the list of older generations themselves, besides the requests that the host delays. */
  readonly lists: boolean;
  /** Whether the last server lies. */
  readonly lies: boolean;
}

/** The sealed store. */
export interface Store {
  readonly history: History;
  /** Older generations that are to be closed. */
  readonly open: readonly number[];
  /** The lineage of its store key. */
  readonly lineage: number;
  /** Lineages that are to be closed, each with the last mark of the boot that left it. */
  readonly former: readonly { readonly lineage: number; readonly mark: Mark }[];
}

/** The content of a machine's disk; the host copies both parts, together or separately. */
export interface Disk {
  readonly store: Store;
  /** Generations of the keyslot file, the newer first. */
  readonly file: readonly number[];
}

/**
 * A change of the store key: slots are made for it, the store lists the lineage that it leaves, the keyslot file has both
 * generations, the store has the new key.
 */
export type Rotation = 'none' | 'enrolling' | 'listed' | 'filed' | 'keyed';

/**
 * A boot that is refused or fenced ends at once: it sends nothing any more. `sweeping`: it lost its slots before it held and asks every server; `relinking`: it makes new ones. `recording`: it
 * holds and has not written its boot record.
 */
export type Stage =
  | 'recovering'
  | 'reserving'
  | 'showing'
  | 'sweeping'
  | 'relinking'
  | 'recording'
  | 'holding';

/** A boot of a node that runs. */
export interface Process {
  readonly boot: number;
  readonly stage: Stage;
  readonly number: number;
  /** Highest number that it was shown. */
  readonly seen: number;
  /** The generation by which it opens the store. */
  readonly opensBy: number;
  /** The generation that it is making; 0 when none. */
  readonly making: number;
  /** How far a change of the store key is. */
  readonly rotation: Rotation;
  readonly accepts: boolean;
  /** Newest head that it was shown while it opened the store, when it accepts that. */
  readonly accepted: History;
  /** For the invariants: it talked to a server that showed a newer mark. */
  readonly hasMetNewer: boolean;
  /** For the invariants: boots that had ended before it took its number. */
  readonly deadBefore: readonly number[];
}

/** A machine with its disk, and the process on it. */
export interface Machine {
  readonly disk: Disk | undefined;
  readonly process: Process | undefined;
}

/** `none`: never made, or erased; `lost`: in a restart of the server. */
export type SlotState = 'none' | 'lost' | 'unlinked' | 'linked';

/** What a node sends to a server, apart from `recover` and `lineage-status`, which change nothing. */
export type Request =
  | { readonly kind: 'reserve' | 'claim'; readonly generation: number; readonly mark: Mark }
  | {
      readonly kind: 'status';
      readonly generations: readonly number[];
      readonly mark: Mark;
      readonly head: History;
    }
  | {
      readonly kind: 'link';
      readonly generation: number;
      readonly mark: Mark | undefined;
      readonly head: History | undefined;
    }
  | {
      readonly kind: 'update';
      readonly lineage: number;
      readonly mark: Mark;
      readonly head: History | undefined;
      readonly forget: readonly number[];
      /** The mark that closes the lineage for good. */
      readonly close: Mark | undefined;
    };

/** Everything that belongs to one server. States that differ in the order of servers alone are one state. */
export interface Server {
  /** By generation. */
  readonly slots: readonly SlotState[];
  /** By lineage; before lineages by generation. */
  readonly records: readonly ServerRecord[];
  /** By lineage: the newest mark that came with the key of a slot, which a machine gets by its quote. */
  readonly slotMarks: readonly Mark[];
  /** For the invariants: the last head that was acknowledged to the node. */
  readonly told: History;
  /** The lineage under which it was acknowledged. */
  readonly toldIn: number;
  /** Requests that the network holds back. */
  readonly inbox: readonly Request[];
  /** For a liar: the newest mark that it ever was sent. */
  readonly heard: Mark;
  /** What each machine's process knows of this server: a sum of `SEEN`. */
  readonly views: readonly [number, number];
}

/** What a process may have learnt of a server, as bits. */
export const SEEN = {
  granted: 1,
  reserved: 2,
  taken: 4,
  shown: 8,
  enrolled: 16,
  newer: 32,
  swept: 64,
} as const;

/** A boot that holds or held, and the disk that it had then. */
export interface Holder {
  readonly mark: Mark;
  readonly disk: Disk;
  /** Before its boot record a holder has lost nothing when another disk is preferred. */
  readonly hasWritten: boolean;
}

/** A state of the whole world. */
export interface World {
  readonly machines: readonly [Machine, Machine];
  readonly servers: readonly Server[];
  /** What the host copied from the first machine. */
  readonly saved: Disk | undefined;
  /** The lineage of each generation. */
  readonly lineageOf: readonly number[];
  /** For the invariants. */
  readonly ghosts: Ghosts;
  readonly used: Used;
}

/** What only the invariants look at. */
export interface Ghosts {
  /** The holder with the newest mark. */
  readonly newest: Holder;
  readonly ended: readonly number[];
  /** The newest head that, at one time, t servers of every generation that can open the store had acknowledged. */
  readonly acknowledged: History;
  /** The lineage under which it was acknowledged. */
  readonly acknowledgedIn: number;
}

/** How much of each bound is used up. */
export type Used = Pick<
  Bounds,
  'boots' | 'writes' | 'generations' | 'restarts' | 'restores' | 'delays' | 'accepts' | 'rotations' | 'thefts'
>;

/** The machine that the store was made on, and the one on which the host runs a copy. */
export const MACHINES = [0, 1] as const;
export type MachineIndex = (typeof MACHINES)[number];

/** The mark of a process. */
export const markOf = ({ number, boot }: Pick<Process, 'number' | 'boot'>): Mark => Mark.of(number, boot);

// ---- changes

/** A list with another item in one place. */
export const replaceAt = <Item>(items: readonly Item[], at: number, item: Item): Item[] =>
  items.map((old, index) => (index === at ? item : old));

/** A world with a change of one machine. */
export function withMachine(world: World, at: MachineIndex, change: Partial<Machine>): World {
  const [a, b] = world.machines;
  return at === 0
    ? { ...world, machines: [{ ...a, ...change }, b] }
    : { ...world, machines: [a, { ...b, ...change }] };
}

/** A world with another state of one server. */
export const withServer = (world: World, index: number, server: Server): World => ({
  ...world,
  servers: replaceAt(world.servers, index, server),
});

/** A world with a change of what the invariants look at. */
export const withGhosts = (world: World, change: Partial<Ghosts>): World => ({
  ...world,
  ghosts: { ...world.ghosts, ...change },
});

/** A world that has used up one more of a bound. */
export const used = (world: World, what: keyof Used): World => ({
  ...world,
  used: { ...world.used, [what]: world.used[what] + 1 },
});

const withViewOf = (server: Server, at: MachineIndex, view: number): Server => {
  const [a, b] = server.views;
  if (server.views[at] === view) return server;
  return { ...server, views: at === 0 ? [view, b] : [a, view] };
};

/** Notes something that a machine's process learnt of a server. */
export function withSeen(world: World, at: MachineIndex, index: number, what: keyof typeof SEEN): World {
  const server = world.servers[index];
  if (server === undefined) return world;
  return withServer(world, index, withViewOf(server, at, server.views[at] | SEEN[what]));
}

/** Forgets what a machine's process learnt of the servers, or only some of it. */
export const clearViews = (world: World, at: MachineIndex, keep = 0): World => ({
  ...world,
  servers: world.servers.map((server) => withViewOf(server, at, server.views[at] & keep)),
});

/** Whether a machine's process has learnt something of a server. */
export const hasSeen = ({ views }: Server, at: MachineIndex, what: keyof typeof SEEN): boolean =>
  (views[at] & SEEN[what]) !== 0;

/** Of how many servers a machine's process has learnt something. */
export const countSeen = ({ servers }: World, at: MachineIndex, what: keyof typeof SEEN): number =>
  servers.filter((server) => hasSeen(server, at, what)).length;

/** Whether a slot lives and is linked to its lineage. */
export const isLinked = ({ slots }: Server, generation: number): boolean => slots[generation] === 'linked';
export const isAlive = ({ slots }: Server, generation: number): boolean =>
  slots[generation] === 'linked' || slots[generation] === 'unlinked';

/** How many slots of a generation can still give their keys. */
export const living = (world: World, generation: number): number =>
  world.servers.filter((server) => isAlive(server, generation)).length;

// ---- one text for all worlds that behave alike

function requestText(request: Request): string {
  const mark = request.mark?.id;
  switch (request.kind) {
    case 'reserve':
    case 'claim':
      return `${request.kind}${mark},${request.generation}`;
    case 'status':
      return `s${mark},${request.head.id},${request.generations}`;
    case 'link':
      return `l${mark},${request.head?.id},${request.generation}`;
    case 'update':
      return `u${mark},${request.head?.id},${request.forget},${request.close?.id},${request.lineage}`;
  }
}

function serverText({ slots, records, slotMarks, told, toldIn, inbox, heard, views }: Server): string {
  const shown = records.map(({ id }) => id);
  const waiting = inbox.length === 0 ? '' : inbox.map(requestText).sort();
  return `s${slots}|${shown}|${slotMarks.map(({ id }) => id)}|${told.id},${toldIn}|${waiting}|${heard.id}|${views}`;
}

const diskText = ({ store, file }: Disk): string => {
  const { history, open, lineage, former } = store;
  return `d${history.id}|${open}|${lineage}|${former.map(({ lineage, mark }) => `${lineage}.${mark.id}`)}|${file}`;
};

const processText = (process: Process): string => {
  const { boot, stage, number, seen, opensBy, making, rotation, accepts, accepted } = process;
  const { hasMetNewer, deadBefore } = process;
  return `p${boot},${stage},${number},${seen},${opensBy},${making},${rotation},${accepts},${accepted.id},${hasMetNewer},${deadBefore}`;
};

const ghostText = ({
  newest: { mark, disk, hasWritten },
  ended,
  acknowledged,
  acknowledgedIn,
}: Ghosts): string =>
  `g${mark.id},${diskText(disk)},${hasWritten},${ended}|${acknowledged.id},${acknowledgedIn}`;

const usedText = (counted: Used): string => `u${Object.values(counted)}`;

/** A text for a world; servers are sorted, except a liar, who is the last one. */
export function encode(world: World, hasLiar: boolean): string {
  const { machines, servers, saved, ghosts, used: counted, lineageOf } = world;
  const columns = servers.map(serverText);
  const liar = hasLiar ? columns.pop() : 0;
  columns.sort();
  const parts = machines.flatMap(({ disk, process }) => [
    disk === undefined ? -1 : diskText(disk),
    process === undefined ? -1 : processText(process),
  ]);
  const copy = saved === undefined ? -1 : diskText(saved);
  return `${columns},${liar},${parts},${copy},${ghostText(ghosts)},${usedText(counted)},${lineageOf}`;
}
