import type { Step } from './explorer.ts';
import { Mark, NOBODY } from './marks.ts';
import {
  type Actor,
  exchange,
  fence,
  indexOf,
  LAST_NUMBER,
  meet,
  type Net,
  noteNewest,
  refuse,
  THIEF,
  withProcess,
} from './net.ts';
import { emptyRecord } from './record.ts';
import { hasRecord } from './server.ts';
import {
  clearViews,
  countSeen,
  type Disk,
  markOf,
  type Process,
  type Request,
  replaceAt,
  type Server,
  type Store,
  used,
  type World,
  withMachine,
  withSeen,
} from './world.ts';

/** The next step of a change of the store key that needs no server. */
export function rekey(net: Net, world: World, actor: Actor): Step<World>[] {
  const { at, process, disk } = actor;
  const { making, rotation } = process;
  const { store } = disk;
  const mark = markOf(process);
  const step = (name: string, change: Partial<Process>, to: Disk): Step<World>[] => {
    const next = withMachine(withProcess(world, actor, change), at, { disk: to });
    return [{ name, next: noteNewest(next, Mark.of(change.number ?? mark.number, mark.boot), to, true) }];
  };
  const former = [...store.former, { lineage: store.lineage, mark }];
  switch (rotation) {
    case 'none': {
      if (making !== 0 || world.used.rotations >= net.bounds.rotations) return [];
      if (world.used.generations >= net.bounds.generations) return [];
      const began = used(used(world, 'rotations'), 'generations');
      const made = began.used.generations;
      const lineageOf = replaceAt(began.lineageOf, made, began.used.rotations);
      const next = withProcess({ ...began, lineageOf }, actor, { making: made, rotation: 'enrolling' });
      return [{ name: 'begins to change its store key', next }];
    }
    case 'enrolling': {
      if (countSeen(world, at, 'enrolled') < net.bounds.slots) return [];
      const listed = net.rules.listsFormerFirst
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
      const { slots, threshold } = net.bounds;
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
      const listed = net.rules.listsFormerFirst
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
export function formerOf({ store }: Disk): Store['former'] {
  return store.former.filter(({ lineage }) => lineage !== store.lineage);
}

/** Whether too few servers were asked for the lineages that the store left. */
export function mustAskFormer(net: Net, world: World, { at, disk }: Actor): boolean {
  if (!net.rules.asksFormer || formerOf(disk).length === 0) return false;
  const { slots, threshold } = net.bounds;
  return countSeen(world, at, 'swept') <= slots - threshold;
}

/** `lineage-status` under a lineage that the store left, before the first record. */
export function askFormer(
  net: Net,
  world: World,
  actor: Actor,
  index: number,
  { records, slotMarks }: Server,
): Step<World>[] {
  if (!net.rules.asksFormer) return [];
  return formerOf(actor.disk).map(({ lineage, mark }) => {
    const shown = formerMark(net, { records, slotMarks }, lineage);
    const name = `asks s${index} for its former lineage`;
    if (shown.beats(mark) && shown.number !== LAST_NUMBER)
      return shown.boot === THIEF ? fence(world, actor, shown, name, true) : refuse(world, actor, name);
    return { name, next: withSeen(world, actor.at, index, 'swept') };
  });
}

/** The mark of a former lineage that counts at a server. */
const formerMark = (
  { rules }: Net,
  { records, slotMarks }: Pick<Server, 'records' | 'slotMarks'>,
  lineage: number,
): Mark => (rules.formerBySlot ? slotMarks[lineage] : records[lineage]?.mark) ?? NOBODY;

/** Closes a lineage that the store left, at one server. */
export function closeFormer(
  net: Net,
  world: World,
  actor: Actor,
  index: number,
  server: Server,
): Step<World>[] {
  if (actor.process.rotation !== 'none') return [];
  return formerOf(actor.disk).flatMap(({ lineage, mark }) => {
    const record = server.records[lineage] ?? emptyRecord;
    if (record.closed || !hasRecord(server, lineage, indexOf(net, world))) return [];
    const looked = meet(net, world, actor, index, mark, lineage);
    const close = closing(actor.process.boot);
    const sent = net.rules.conditionalClose ? mark : close;
    const request: Request = { kind: 'update', lineage, mark: sent, head: undefined, forget: [], close };
    return exchange(
      net,
      looked,
      index,
      `closes lineage ${lineage} at s${index}`,
      request,
      (after) => after.records[lineage],
    ).map(({ name, world: after, shown }) => {
      if (shown === undefined) return { name, next: after };
      const by = formerMark(net, after.servers[index] ?? server, lineage);
      if (by.beats(mark) && by.number !== LAST_NUMBER) return fence(after, actor, by, name, true);
      return { name, next: after };
    });
  });
}

/** The mark that closes a lineage: it beats all others. */
const closing = (boot: number): Mark => Mark.of(LAST_NUMBER, boot);
