import type { Step } from './explorer.ts';
import { type History, highest, Mark, START } from './marks.ts';
import { emptyRecord, ServerRecord } from './record.ts';
import { isBehind } from './record-rules.ts';
import type { Rules } from './rules.ts';
import { serve, shownBy } from './server.ts';
import {
  type Bounds,
  clearViews,
  type Disk,
  isLinked,
  living,
  type MachineIndex,
  markOf,
  type Process,
  type Request,
  type Server,
  used,
  type World,
  withGhosts,
  withMachine,
  withServer,
} from './world.ts';

/** The number of the mark that closes a lineage. */
export const LAST_NUMBER = 99;
/** The boot that a liar makes up for a reservation. */
const LIAR = 63;
/** The boot that a thief makes up. */
export const THIEF = 62;
/** The boot that made the store. */
export const FIRST = Mark.of(1, 1);

/** The rules and bounds of a model. */
export interface Net {
  readonly rules: Rules;
  readonly bounds: Bounds;
}

/** One exchange: the world after the server acted, and the record that it showed; `undefined` when no answer came. */
export interface Exchange {
  readonly name: string;
  readonly world: World;
  readonly shown: ServerRecord | undefined;
}

/** A node that runs, and its place. */
export interface Actor {
  readonly at: MachineIndex;
  readonly process: Process;
  readonly disk: Disk;
}

/** Whether a server lies: the last one, if any. */
export function isLiar(net: Net, index: number): boolean {
  return net.bounds.lies && index === net.bounds.servers - 1;
}

/** Where servers keep the record of a generation: one for its lineage, or one for each generation. */
export function indexOf(net: Net, world: World): (generation: number) => number {
  return net.rules.lineage ? (generation) => world.lineageOf[generation] ?? 0 : (generation) => generation;
}

/** A server after a request. */
export function served(net: Net, world: World, server: Server, request: Request): Server {
  return serve(server, request, indexOf(net, world), net.rules);
}

/** What a server shows of a slot; `undefined` when it has none. */
export function shownAt(
  net: Net,
  world: World,
  server: Server,
  generation: number,
): ServerRecord | undefined {
  return shownBy(server, generation, indexOf(net, world), net.rules);
}

/** The world with a change of the process that an actor runs. */
export function withProcess(world: World, { at }: Actor, change: Partial<Process>): World {
  const { process } = world.machines[at];
  return process === undefined ? world : withMachine(world, at, { process: { ...process, ...change } });
}

/** The process of a machine ends. */
export function endOf(world: World, at: MachineIndex): World {
  const { process } = world.machines[at];
  const { ended } = world.ghosts;
  const boots = process === undefined ? ended : [...ended, process.boot].sort((one, other) => one - other);
  return withGhosts(withMachine(clearViews(world, at), at, { process: undefined }), { ended: boots });
}

/** What may become of a request that the node sends now. */
export function exchange(
  net: Net,
  world: World,
  index: number,
  name: string,
  request: Request,
  read: (server: Server) => ServerRecord | undefined,
): Exchange[] {
  const before = world.servers[index];
  if (before === undefined) return [];
  const isLying = isLiar(net, index);
  // A reservation carries no mark that could be shown to others.
  const mark = request.kind === 'reserve' ? undefined : request.mark;
  const heard = isLying && mark?.beats(before.heard) ? { ...before, heard: mark } : before;
  const after = served(net, world, heard, request);
  const acted = after === before ? world : withServer(world, index, after);
  const exchanges: Exchange[] = [{ name, world: acted, shown: read(after) }];
  if (isLying) {
    const deaf = withServer(world, index, heard);
    exchanges.push(
      ...lies(heard, read(after)).map((lie) => ({
        name: `${name}, ${lie.name}`,
        world: deaf,
        shown: lie.shown,
      })),
    );
  }
  if (net.bounds.losesAnswers && acted !== world) {
    exchanges.push({ name: `${name}, answer lost`, world: acted, shown: undefined });
  }
  if (world.used.delays < net.bounds.delays && acted !== world) {
    const late = withServer(world, index, { ...before, inbox: [...before.inbox, request] });
    exchanges.push({ name: `${name}, delayed`, world: used(late, 'delays'), shown: undefined });
  }
  return exchanges;
}

/** What a liar shows instead of the truth; it does nothing. */
export function lies(
  { heard }: Server,
  truth: ServerRecord | undefined,
): { name: string; shown: ServerRecord }[] {
  const { reserved, mark, head } = truth ?? emptyRecord;
  const tooHigh = Mark.of(reserved.number + 1, LIAR);
  return [
    { name: 'a lie: nothing', shown: ServerRecord.of(FIRST, FIRST, START.plus(FIRST)) },
    { name: 'a lie: all that it heard', shown: ServerRecord.of(highest(reserved, heard), heard, head) },
    { name: 'a lie: a number too high', shown: ServerRecord.of(tooHigh, mark, head) },
  ];
}

/** Whether a head refuses the store of an actor, what it accepted apart. */
export function isRefusedBy(net: Net, { disk, process }: Actor, head: History): boolean {
  const { history } = disk.store;
  if (!isBehind(history, head, net.rules)) return false;
  return !process.accepts || isBehind(process.accepted, head, net.rules);
}

/** A boot stops because its store is too old. */
export function refuse(world: World, actor: Actor, name: string): Step<World> {
  const { newest } = world.ghosts;
  const [own, other] = [actor.disk.store, newest.disk.store];
  const isNewest = newest.hasWritten && own.history === other.history && own.lineage === other.lineage;
  const violation = isNewest ? 'LOCKED OUT: the disk of the newest holder is refused' : undefined;
  return { name: `${name}: refused as too old`, next: endOf(world, actor.at), violation };
}

/**
 * An instance stops because of a newer mark. A thief of its present store key has everything, so only one of a former key is
 * a false reason.
 * @param isFormer whether the mark is of a lineage that its store left.
 */
export function fence(world: World, actor: Actor, by: Mark, name: string, isFormer = false): Step<World> {
  const isThief = isFormer && by.boot === THIEF;
  const isFalse = isThief || (actor.process.deadBefore.includes(by.boot) && by.number !== LAST_NUMBER);
  return {
    name: `${name}: fenced by boot ${by.boot}`,
    next: endOf(world, actor.at),
    violation: isFalse
      ? `FALSE FENCE: by a ${isThief ? 'thief without a machine' : 'boot that had ended before this one took its number'}`
      : undefined,
  };
}

/** The server has answered that it has the head. */
export function acknowledge(
  net: Net,
  world: World,
  { disk, process }: Actor,
  index: number,
): { readonly next: World } {
  const server = world.servers[index];
  const { history } = disk.store;
  if (server === undefined) return { next: world };
  const toldIn = disk.store.lineage;
  const isTold = server.told === history && server.toldIn === toldIn;
  const told = isTold ? world : withServer(world, index, { ...server, told: history, toldIn });
  const { acknowledged } = told.ghosts;
  // What an overtaken instance is told protects nothing: after a restart of a server t others may still answer it.
  if (told.ghosts.newest.mark.beats(markOf(process))) return { next: told };
  // Every generation that can open the store must know the head at t servers, and there must be one.
  const { threshold } = net.bounds;
  const open = [...told.lineageOf.keys()].filter(
    (generation) => told.lineageOf[generation] === toldIn && living(told, generation) >= threshold,
  );
  const isKnown = (generation: number): boolean =>
    told.servers.filter(
      (each, place) => !isLiar(net, place) && isLinked(each, generation) && each.told.contains(history),
    ).length >= threshold;
  const isKept = open.length > 0 && open.every(isKnown);
  if (!isKept || acknowledged === history) return { next: told };
  if (history.last !== acknowledged.last && !history.last.beats(acknowledged.last)) return { next: told };
  return { next: withGhosts(told, { acknowledged: history, acknowledgedIn: disk.store.lineage }) };
}

/** For the invariants: notes that the server shows a newer mark. */
export function meet(
  net: Net,
  world: World,
  actor: Actor,
  index: number,
  mark = markOf(actor.process),
  lineage?: number,
): World {
  const { process } = actor;
  const records = world.servers[index]?.records ?? [];
  if (process.hasMetNewer || isLiar(net, index)) return world;
  const isAsked = (place: number): boolean =>
    !net.rules.lineage || place === (lineage ?? actor.disk.store.lineage);
  const knows = records.some(
    (record, place) => isAsked(place) && record.mark.boot !== THIEF && record.mark.beats(mark),
  );
  return knows ? withProcess(world, actor, { hasMetNewer: true }) : world;
}

/** A record gets onto an actor's disk. */
export function appendRecord(world: World, actor: Actor, change: Partial<Process>): World {
  const { at, process, disk } = actor;
  const mark = markOf(process);
  const written = { ...disk, store: { ...disk.store, history: disk.store.history.plus(mark) } };
  const next = withMachine(withProcess(world, actor, change), at, { disk: written });
  return noteNewest(next, mark, written, true);
}

/** A holder that began to hold, wrote or made a generation, if there is no newer one. */
export function noteNewest(world: World, mark: Mark, disk: Disk, hasWritten: boolean): World {
  const { newest } = world.ghosts;
  return newest.mark.beats(mark) ? world : withGhosts(world, { newest: { mark, disk, hasWritten } });
}

/** Whether a record shows the mark that closes its lineage. */
export const isClosed = ({ mark }: ServerRecord): boolean => mark.number === LAST_NUMBER;
