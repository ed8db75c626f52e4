import { again } from './boot-steps.ts';
import type { Step } from './explorer.ts';
import { erasure } from './invariants.ts';
import { Mark } from './marks.ts';
import {
  type Actor,
  acknowledge,
  endOf,
  exchange,
  fence,
  meet,
  type Net,
  noteNewest,
  shownAt,
  withProcess,
} from './net.ts';
import { emptyRecord } from './record.ts';
import {
  clearViews,
  countSeen,
  type Disk,
  hasSeen,
  isAlive,
  living,
  markOf,
  type Request,
  replaceAt,
  type Server,
  type SlotState,
  type Store,
  used,
  type World,
  withMachine,
  withSeen,
  withServer,
} from './world.ts';

/** A new slot at one server for the generation under way. */
export function enrol(net: Net, world: World, actor: Actor, index: number, server: Server): Step<World>[] {
  const { at, process, disk } = actor;
  const { lineage, linkFirst } = net.rules;
  if (hasSeen(server, at, 'enrolled')) return [];
  if (countSeen(world, at, 'enrolled') >= net.bounds.slots) return [];
  const begins = process.making === 0;
  if (begins && world.used.generations >= net.bounds.generations) return [];
  const began = begins ? used(world, 'generations') : world;
  const making = begins ? began.used.generations : process.making;
  const name = `enrols at s${index} for generation ${making}`;
  const lineageOf = begins ? replaceAt(began.lineageOf, making, disk.store.lineage) : began.lineageOf;
  const isRotation = process.rotation !== 'none';
  if (isRotation && process.rotation !== 'enrolling') return [];
  const started = withProcess({ ...began, lineageOf }, actor, { making });
  const enroller: Actor = { ...actor, process: { ...process, making } };
  if (!lineage || !linkFirst) {
    const slots = replaceAt<SlotState>(server.slots, making, lineage ? 'unlinked' : 'linked');
    return [
      { name, next: withSeen(withServer(started, index, { ...server, slots }), at, index, 'enrolled') },
    ];
  }
  const looked = meet(net, started, enroller, index);
  const mark = isRotation ? Mark.of(process.number + 1, process.boot) : markOf(process);
  const head = process.stage === 'holding' && !isRotation ? disk.store.history : undefined;
  const request: Request = { kind: 'link', generation: making, mark, head };
  return exchange(net, looked, index, name, request, (after) => shownAt(net, looked, after, making)).map(
    ({ name: said, world: after, shown }) => {
      if (shown === undefined) return { name: said, next: after };
      if (shown.mark.beats(mark)) {
        if (process.stage !== 'holding')
          return { name: `${said}: beaten`, next: again(net, after, enroller, shown) };
        return fence(after, enroller, shown.mark, said);
      }
      const { next } = isRotation ? { next: after } : acknowledge(net, after, enroller, index);
      return { name: said, next: withSeen(next, at, index, 'enrolled') };
    },
  );
}

/** The generation under way gets into the keyslot file; what leaves the file is listed in the store first. */
export function commit(net: Net, world: World, actor: Actor): Step<World>[] {
  const { at, process, disk } = actor;
  const enrolled = countSeen(world, at, 'enrolled');
  const { making } = process;
  if (making === 0 || enrolled < net.bounds.threshold || process.rotation !== 'none') return [];
  const [present] = disk.file;
  const isWhole = enrolled === net.bounds.slots;
  const file = isWhole || present === undefined ? [making] : [making, present];
  const dropped = disk.file.filter((generation) => !file.includes(generation));
  const mark = markOf(process);
  const store: Store =
    net.rules.lineage && net.rules.writesHeld
      ? {
          ...disk.store,
          history: disk.store.history.plus(mark),
          open: [...disk.store.open, ...dropped].sort(),
        }
      : disk.store;
  const isHolding = process.stage === 'holding';
  const place = (to: Disk): World => {
    const kept = withMachine(withProcess(clearViews(world, at), actor, { making: 0 }), at, { disk: to });
    return isHolding ? noteNewest(kept, mark, to, true) : kept;
  };
  const committed = place({ store, file });
  const next = {
    ...committed,
    servers: committed.servers.map((server) => holdBack(net, server, dropped, mark, store)),
  };
  const steps: Step<World>[] = [{ name: 'commits a generation', next }];
  if (store !== disk.store) {
    steps.push({
      name: 'ends between store and keyslot file',
      next: endOf(place({ store, file: disk.file }), at),
    });
  }
  return steps;
}

/** The first requests to forget older generations; the host lets them arrive when it likes. */
export function holdBack(
  net: Net,
  server: Server,
  dropped: readonly number[],
  mark: Mark,
  { history, lineage }: Store,
): Server {
  const forget = dropped.filter((generation) => isAlive(server, generation));
  if (forget.length === 0) return server;
  const head = net.rules.forgetCarriesHead ? history : undefined;
  const request: Request = { kind: 'update', lineage, mark, head, forget, close: undefined };
  return { ...server, inbox: [...server.inbox, request] };
}

/** A holder forgets older generations, and slots that are in no generation of its file. */
export function forgetOlder(
  net: Net,
  world: World,
  actor: Actor,
  index: number,
  server: Server,
): Step<World>[] {
  if (!net.rules.lineage || !net.bounds.lists) return [];
  const { process, disk } = actor;
  const { store, file } = disk;
  const [present = -1] = file;
  const isConfirmed = process.making === 0 && living(world, present) === net.bounds.slots;
  const isStray = (generation: number): boolean =>
    isConfirmed && world.lineageOf[generation] === store.lineage && !file.includes(generation);
  const forget = server.slots.flatMap((state, generation) => {
    if (state !== 'linked') return [];
    const isOpen = store.open.includes(generation) && !(net.rules.keepsOwnSlots && file.includes(generation));
    return isOpen || isStray(generation) ? [generation] : [];
  });
  const mark = markOf(process);
  const { lineage, history } = store;
  const record = server.records[lineage] ?? emptyRecord;
  const isLooking = net.rules.looksAtOlder && store.open.length > 0 && record.mark.beats(mark);
  if (forget.length === 0 && !isLooking) return [];
  const looked = meet(net, world, actor, index);
  const head = net.rules.forgetCarriesHead ? history : undefined;
  const request: Request = { kind: 'update', lineage, mark, head, forget, close: undefined };
  return exchange(
    net,
    looked,
    index,
    `forgets ${forget} at s${index}`,
    request,
    (after) => after.records[lineage],
  ).map(({ name, world: after, shown }) => {
    const violation = erasure(world, after, net.bounds);
    if (shown === undefined) return { name, next: after, violation };
    if (shown.mark.beats(mark)) return fence(after, actor, shown.mark, name);
    return { name, next: closeOld(net, after, actor), violation };
  });
}

/** Older generations leave the list when fewer than t of their slots can give their keys. */
export function closeOld(net: Net, world: World, actor: Actor): World {
  const { store } = actor.disk;
  const open = store.open.filter((generation) => living(world, generation) >= net.bounds.threshold);
  if (open.length === store.open.length) return world;
  const disk = { ...actor.disk, store: { ...store, open } };
  return noteNewest(withMachine(world, actor.at, { disk }), markOf(actor.process), disk, true);
}
