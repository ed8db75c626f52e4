import type { Step } from './explorer.ts';
import { writeViolation } from './invariants.ts';
import {
  type Actor,
  acknowledge,
  appendRecord,
  exchange,
  fence,
  indexOf,
  meet,
  type Net,
  shownAt,
} from './net.ts';
import { emptyRecord, type ServerRecord } from './record.ts';
import { hasRecord } from './server.ts';
import {
  countSeen,
  isAlive,
  markOf,
  type Request,
  type Server,
  used,
  type World,
  withSeen,
} from './world.ts';

/** `key-status` shows the mark, deposits the head, and looks for newer marks. */
export function checkSlots(
  net: Net,
  world: World,
  actor: Actor,
  index: number,
  server: Server,
): Step<World>[] {
  const { at, process, disk } = actor;
  const own = disk.file.filter((generation) => world.lineageOf[generation] === disk.store.lineage);
  const generations = own.filter((generation) => isAlive(server, generation));
  const mark = markOf(process);
  const looked = meet(net, world, actor, index);
  if (generations.length === 0) {
    const { hasMetNewer } = looked.machines[at].process ?? process;
    return askWithoutSlot(net, looked, { ...actor, process: { ...process, hasMetNewer } }, index, server);
  }
  const newestOf = (after: Server): ServerRecord | undefined =>
    generations
      .map((generation) => shownAt(net, world, after, generation))
      .reduce((one, other) => (one !== undefined && other?.mark.beats(one.mark) ? other : (one ?? other)));
  const request: Request = { kind: 'status', generations, mark, head: disk.store.history };
  return exchange(net, looked, index, `checks s${index}`, request, newestOf).map(
    ({ name, world: after, shown }) => {
      if (shown === undefined) return { name, next: after };
      if (!shown.mark.beats(mark)) {
        const { next } = acknowledge(net, after, actor, index);
        return { name, next: process.rotation === 'filed' ? withSeen(next, at, index, 'shown') : next };
      }
      const newer = withSeen(after, at, index, 'newer');
      const { slots, threshold } = net.bounds;
      const needed = net.rules.singleMarkFences ? 1 : slots - threshold + 1;
      if (countSeen(newer, at, 'newer') >= needed) return fence(newer, actor, shown.mark, name);
      return { name: `${name}: newer mark`, next: newer };
    },
  );
}

/** `lineage-status` where the server knows none of its slots. */
export function askWithoutSlot(
  net: Net,
  world: World,
  actor: Actor,
  index: number,
  server: Server,
): Step<World>[] {
  const { process, disk } = actor;
  const name = `asks s${index}, which has no slot of it`;
  const mark = markOf(process);
  if (!net.rules.asksOnUnknown) {
    return process.hasMetNewer ? [{ name: `checks s${index}: unknown`, next: world }] : [];
  }
  const { lineage } = disk.store;
  const record = server.records[lineage] ?? emptyRecord;
  if (record.mark.beats(mark)) return [fence(world, actor, record.mark, name)];
  if (!net.rules.marksEverywhere || !hasRecord(server, lineage, indexOf(net, world))) return [];
  const request: Request = {
    kind: 'update',
    lineage,
    mark,
    head: disk.store.history,
    forget: [],
    close: undefined,
  };
  return exchange(net, world, index, name, request, (after) => after.records[lineage]).map(
    ({ name: said, world: after, shown }) => {
      if (shown === undefined) return { name: said, next: after };
      if (shown.mark.beats(mark)) return fence(after, actor, shown.mark, said);
      return { name: said, ...acknowledge(net, after, actor, index) };
    },
  );
}

/** A record of the node, whatever it is about. */
export function write(net: Net, world: World, actor: Actor): Step<World>[] {
  if (world.used.writes >= net.bounds.writes) return [];
  const violation = writeViolation(world, actor.process, actor.disk, !net.rules.writesHeld, net.bounds);
  return [{ name: 'writes', next: appendRecord(used(world, 'writes'), actor, {}), violation }];
}
