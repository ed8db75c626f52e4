import { hold } from './boot-steps.ts';
import type { Step } from './explorer.ts';
import { Mark } from './marks.ts';
import { type Actor, endOf, exchange, isRefusedBy, type Net, refuse, shownAt, withProcess } from './net.ts';
import { emptyRecord } from './record.ts';
import {
  clearViews,
  countSeen,
  type Disk,
  living,
  markOf,
  type Request,
  replaceAt,
  type Server,
  used,
  type World,
  withSeen,
} from './world.ts';

/** Whether no generation of the keyslot file can give the store key any more. */
export function isLost(net: Net, world: World, { file }: Disk): boolean {
  return file.every((generation) => living(world, generation) < net.bounds.threshold);
}

/** Asks one server for the lineage before new slots are made. */
export function sweep(net: Net, world: World, actor: Actor, index: number, server: Server): Step<World>[] {
  const record = server.records[actor.disk.store.lineage] ?? emptyRecord;
  const name = `asks s${index} for the lineage`;
  if (isRefusedBy(net, actor, record.head)) return [refuse(world, actor, name)];
  if (record.mark.beats(markOf(actor.process)) && record.mark.number > 0) {
    return [{ name: `${name}: a newer mark`, next: endOf(world, actor.at) }];
  }
  const seen = Math.max(actor.process.seen, record.reserved.number, record.mark.number);
  return [{ name, next: withSeen(withProcess(world, actor, { seen }), actor.at, index, 'swept') }];
}

/** Every server was asked: a generation is begun. */
export function beginRelinking(world: World, actor: Actor): World {
  const { at } = actor;
  const began = used(clearViews(world, at), 'generations');
  const making = began.used.generations;
  const lineageOf = replaceAt(began.lineageOf, making, actor.disk.store.lineage);
  return withProcess({ ...began, lineageOf }, actor, { stage: 'relinking', making });
}

/** A new slot at one server for a boot that does not hold. */
export function relink(net: Net, world: World, actor: Actor, index: number): Step<World>[] {
  const { at, process } = actor;
  if (countSeen(world, at, 'enrolled') >= net.bounds.slots) return [];
  const generation = process.making;
  const mark = net.rules.linksUnmarked ? undefined : Mark.of(process.seen + 1, process.boot);
  const request: Request = { kind: 'link', generation, mark, head: undefined };
  const exchanges = exchange(net, world, index, `links a new slot at s${index}`, request, (after) =>
    shownAt(net, world, after, generation),
  );
  return exchanges.map(({ name, world: after, shown }) => {
    if (shown === undefined) return { name, next: after };
    if (isRefusedBy(net, actor, shown.head)) return refuse(after, actor, name);
    if (mark !== undefined && shown.mark.beats(mark)) {
      return { name: `${name}: a newer mark`, next: endOf(after, actor.at) };
    }
    const seen =
      mark === undefined ? Math.max(process.seen, shown.reserved.number, shown.mark.number) : process.seen;
    return { name, next: withSeen(withProcess(after, actor, { seen }), at, index, 'enrolled') };
  });
}

/** Its new slots showed its mark when they were linked. */
export function holdRelinked(net: Net, world: World, actor: Actor, number: number): World {
  return hold(net, withProcess(world, actor, { number }), {
    ...actor,
    process: { ...actor.process, number },
  });
}
