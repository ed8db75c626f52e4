import type { Step } from './explorer.ts';
import { START } from './marks.ts';
import {
  type Actor,
  exchange,
  isClosed,
  isLiar,
  isRefusedBy,
  lies,
  type Net,
  noteNewest,
  refuse,
  shownAt,
  withProcess,
} from './net.ts';
import type { ServerRecord } from './record.ts';
import { isBehind, isTaken } from './record-rules.ts';
import {
  clearViews,
  countSeen,
  type Disk,
  isLinked,
  living,
  type MachineIndex,
  markOf,
  type Process,
  SEEN,
  type Server,
  type Stage,
  used,
  type World,
  withMachine,
  withSeen,
} from './world.ts';

/** A node starts on a disk, by one of the generations of its keyslot file. */
export function boot(net: Net, world: World, at: MachineIndex, disk: Disk, label: string): Step<World>[] {
  const { boots, accepts } = world.used;
  if (boots >= net.bounds.boots) return [];
  const boot = boots + 1;
  const choices = accepts < net.bounds.accepts ? [false, true] : [false];
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

/** The grant of one server, with what it knows of the lineage. */
export function recover(net: Net, world: World, actor: Actor, index: number, server: Server): Step<World>[] {
  const { at, process } = actor;
  if (net.rules.linkFirst && !isLinked(server, process.opensBy)) return [];
  const truth = shownAt(net, world, server, process.opensBy);
  if (truth === undefined) return [];
  const isLying = isLiar(net, index);
  const answers = [{ name: '', shown: truth }, ...(isLying ? lies(server, truth) : [])];
  return answers.map(({ name: lie, shown }) => {
    const name = `gets a grant of s${index}${lie === '' ? '' : `, ${lie}`}`;
    const head = shown.head;
    const accepted = process.accepts && isBehind(process.accepted, head, net.rules) ? head : process.accepted;
    if (isClosed(shown)) return refuse(world, actor, name);
    if (!process.accepts && isRefusedBy(net, actor, head)) return refuse(world, actor, name);
    const seen = Math.max(
      process.seen,
      shown.reserved.number,
      shown.mark.number,
      process.accepts ? head.last.number : 0,
    );
    const granted = withSeen(withProcess(world, actor, { seen, accepted }), at, index, 'granted');
    if (countSeen(granted, at, 'granted') < net.bounds.threshold) return { name, next: granted };
    return { name, next: choose(net, granted, at, seen) };
  });
}

/** Takes a number above all that were seen. */
export function choose(net: Net, world: World, at: MachineIndex, seen: number): World {
  const { process } = world.machines[at];
  if (process === undefined) return world;
  const stage: Stage = net.rules.reserves ? 'reserving' : 'showing';
  const change = { ...process, seen, number: seen + 1, stage, deadBefore: world.ghosts.ended };
  return withMachine(clearViews(world, at, SEEN.enrolled), at, { process: change });
}

/** Reserves the number of this boot at one server. */
export function reserve(net: Net, world: World, actor: Actor, index: number, server: Server): Step<World>[] {
  const { at, process } = actor;
  const generation = process.opensBy;
  const before = shownAt(net, world, server, generation);
  if (before === undefined) return [];
  const wish = markOf(process);
  const exchanges = exchange(
    net,
    world,
    index,
    `reserves ${wish.number} at s${index}`,
    { kind: 'reserve', generation, mark: wish },
    (after) => shownAt(net, world, after, generation),
  );
  return exchanges.map(({ name, world: after, shown }) => {
    if (shown === undefined) return { name, next: after };
    if (isClosed(shown)) return refuse(after, actor, name);
    if (net.rules.comparesTwice && isRefusedBy(net, actor, shown.head)) return refuse(after, actor, name);
    if (isTaken(shown, wish)) {
      const seen = Math.max(process.seen, shown.reserved.number);
      const taken = withSeen(withProcess(after, actor, { seen }), at, index, 'taken');
      const possible = living(taken, generation) - countSeen(taken, at, 'taken');
      const isHopeless = possible < net.bounds.threshold;
      return { name: `${name}: taken`, next: isHopeless ? choose(net, taken, at, seen) : taken };
    }
    const told = withSeen(after, at, index, 'reserved');
    const isEnough = countSeen(told, at, 'reserved') >= net.bounds.threshold;
    const next = isEnough
      ? withProcess(clearViews(told, at, SEEN.enrolled), actor, { stage: 'showing' })
      : told;
    return { name, next };
  });
}

/** Shows the mark of this boot at one server. */
export function claim(net: Net, world: World, actor: Actor, index: number, server: Server): Step<World>[] {
  const { at, process } = actor;
  const generation = process.opensBy;
  if (shownAt(net, world, server, generation) === undefined) return [];
  const mark = markOf(process);
  const exchanges = exchange(
    net,
    world,
    index,
    `shows ${mark.number} at s${index}`,
    { kind: 'claim', generation, mark },
    (after) => shownAt(net, world, after, generation),
  );
  return exchanges.map(({ name, world: after, shown }) => {
    if (shown === undefined) return { name, next: after };
    if (isClosed(shown)) return refuse(after, actor, name);
    if (net.rules.comparesTwice && isRefusedBy(net, actor, shown.head)) return refuse(after, actor, name);
    if (shown.mark.beats(mark)) return { name: `${name}: beaten`, next: again(net, after, actor, shown) };
    const told = withSeen(after, at, index, 'shown');
    const isEnough = countSeen(told, at, 'shown') >= net.bounds.threshold;
    return { name, next: isEnough ? hold(net, told, actor) : told };
  });
}

/** A newer mark before this boot holds. */
export function again(net: Net, world: World, actor: Actor, { mark }: ServerRecord): World {
  const seen = Math.max(actor.process.seen, mark.number);
  if (!net.rules.recoversAgain) return choose(net, world, actor.at, seen);
  return withProcess(clearViews(world, actor.at), actor, { seen, number: 0, stage: 'recovering' });
}

/** t servers show the mark of this boot. */
export function hold(net: Net, world: World, actor: Actor): World {
  const { at, process, disk } = actor;
  const stage: Stage = net.rules.writesHeld ? 'recording' : 'holding';
  const holds = withProcess(clearViews(world, at, SEEN.enrolled), actor, {
    stage,
    seen: 0,
    accepted: START,
  });
  return noteNewest(holds, markOf(process), disk, false);
}
