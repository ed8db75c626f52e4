import { boot, choose, claim, recover, reserve } from './boot-steps.ts';
import type { Model, Step } from './explorer.ts';
import { commit, enrol, forgetOlder } from './generation-steps.ts';
import { checkSlots, write } from './holder-steps.ts';
import { erasure, writeViolation } from './invariants.ts';
import { askFormer, closeFormer, mustAskFormer, rekey } from './key-change.ts';
import { beginRelinking, holdRelinked, isLost, relink, sweep } from './lost-slots.ts';
import { Mark, NOBODY, START } from './marks.ts';
import { type Actor, appendRecord, endOf, FIRST, type Net, served, THIEF, withProcess } from './net.ts';
import { emptyRecord, ServerRecord } from './record.ts';
import type { Rules } from './rules.ts';
import {
  type Bounds,
  clearViews,
  countSeen,
  type Disk,
  encode,
  hasSeen,
  MACHINES,
  type MachineIndex,
  type Process,
  type SEEN,
  type Server,
  type SlotState,
  used,
  type World,
  withMachine,
  withServer,
} from './world.ts';

/** The network of lineages, marks, heads and generations, under a set of rules. */
export class NetworkModel implements Model<World> {
  readonly initial: World;
  readonly #net: Net;

  constructor(rules: Rules, bounds: Bounds) {
    this.#net = { rules, bounds };
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
      slotMarks: [has ? FIRST : NOBODY, ...Array<Mark>(places - 1).fill(NOBODY)],
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
        thefts: 0,
      },
    };
  }

  encode(world: World): string {
    return encode(world, this.#net.bounds.lies);
  }

  steps(world: World): readonly Step<World>[] {
    return [
      ...MACHINES.flatMap((at) => machineSteps(this.#net, world, at)),
      ...world.servers.flatMap((_server, at) => serverSteps(this.#net, world, at)),
      ...hostSteps(this.#net, world),
    ];
  }
}

function machineSteps(net: Net, world: World, at: MachineIndex): Step<World>[] {
  const { disk, process } = world.machines[at];
  if (disk === undefined) return [];
  const label = at === 0 ? 'A' : 'B';
  if (process === undefined) return boot(net, world, at, disk, label);
  const steps: Step<World>[] = [{ name: 'ends', next: endOf(world, at) }];
  const actor = { at, process, disk };
  for (const index of world.servers.keys()) steps.push(...talk(net, world, actor, index));
  steps.push(...alone(net, world, actor));
  return steps.map((step) => ({ ...step, name: `${label} ${step.name}` }));
}

/** One exchange with one server. */
function talk(net: Net, world: World, actor: Actor, index: number): Step<World>[] {
  const server = world.servers[index];
  if (server === undefined) return [];
  const has = (what: keyof typeof SEEN) => hasSeen(server, actor.at, what);
  switch (actor.process.stage) {
    case 'recovering':
      return has('granted') ? [] : recover(net, world, actor, index, server);
    case 'reserving':
      return has('reserved') || has('taken') ? [] : reserve(net, world, actor, index, server);
    case 'showing': {
      const shows = has('shown') ? [] : claim(net, world, actor, index, server);
      return net.rules.holdsFirst ? shows : [...shows, ...enrol(net, world, actor, index, server)];
    }
    case 'sweeping':
      return has('swept') ? [] : sweep(net, world, actor, index, server);
    case 'relinking':
      return has('enrolled') ? [] : relink(net, world, actor, index);
    case 'holding':
      if (actor.process.rotation === 'keyed') return [];
      return [
        ...checkSlots(net, world, actor, index, server),
        ...enrol(net, world, actor, index, server),
        ...forgetOlder(net, world, actor, index, server),
        ...closeFormer(net, world, actor, index, server),
      ];
    case 'recording':
      return has('swept') ? [] : askFormer(net, world, actor, index, server);
    default:
      return [];
  }
}

/** What a node does without a server. */
function alone(net: Net, world: World, actor: Actor): Step<World>[] {
  const { at, process, disk } = actor;
  const { writesHeld } = net.rules;
  const steps: Step<World>[] = [];
  switch (process.stage) {
    case 'reserving':
    case 'showing':
      if (net.rules.sweeps && isLost(net, world, disk)) {
        const next = withProcess(clearViews(world, at), actor, { stage: 'sweeping' });
        steps.push({ name: 'has lost its slots', next });
      }
      if (process.stage === 'showing' && !writesHeld) steps.push(...write(net, world, actor));
      if (process.stage === 'showing' && !net.rules.holdsFirst) steps.push(...commit(net, world, actor));
      break;
    case 'sweeping':
      if (net.rules.countsSilence || countSeen(world, at, 'swept') === net.bounds.servers) {
        if (process.making !== 0 || world.used.generations < net.bounds.generations) {
          steps.push({ name: 'begins a generation', next: beginRelinking(world, actor) });
        }
      }
      break;
    case 'relinking':
      if (countSeen(world, at, 'enrolled') >= net.bounds.threshold) {
        const next = net.rules.linksUnmarked
          ? choose(net, withProcess(world, actor, { opensBy: process.making }), at, process.seen)
          : holdRelinked(net, world, actor, process.seen + 1);
        steps.push({ name: 'has linked its new slots', next });
      }
      break;
    case 'recording': {
      if (mustAskFormer(net, world, actor)) break;
      const violation = writeViolation(world, actor.process, disk, true, net.bounds);
      const next = appendRecord(world, actor, { stage: 'holding', opensBy: 0, accepts: false });
      steps.push({ name: 'writes its boot record', next, violation });
      break;
    }
    case 'holding':
      steps.push(...write(net, world, actor), ...commit(net, world, actor), ...rekey(net, world, actor));
      break;
  }
  return steps;
}

function serverSteps(net: Net, world: World, index: number): Step<World>[] {
  const server = world.servers[index];
  if (server === undefined) return [];
  const steps = server.inbox.map((request): Step<World> => {
    const inbox = server.inbox.filter((other) => other !== request);
    const next = withServer(world, index, served(net, world, { ...server, inbox }, request));
    const what = request.kind === 'update' ? `forget of generation ${request.forget}` : request.kind;
    const sender = request.mark?.boot ?? 0;
    return {
      name: `s${index} gets the ${what} by boot ${sender}`,
      next,
      violation: erasure(world, next, net.bounds),
    };
  });
  steps.push(...theft(net, world, index, server));
  if (world.used.restarts < net.bounds.restarts) {
    const empty: Server = {
      ...server,
      slots: server.slots.map((state) => (state === 'none' ? 'none' : 'lost')),
      records: server.records.map(() => emptyRecord),
      slotMarks: server.slotMarks.map(() => NOBODY),
      told: START,
      toldIn: 0,
      // The key of a lineage is the same after a restart, that of a slot is not.
      inbox: server.inbox.filter(({ kind }) => net.rules.lineage && kind === 'update'),
    };
    steps.push({ name: `s${index} restarts`, next: used(withServer(world, index, empty), 'restarts') });
  }
  return steps;
}

/** A thief of a former store key derives the key of its lineage, and shows a newer mark. */
function theft(net: Net, world: World, index: number, server: Server): Step<World>[] {
  if (world.used.thefts >= net.bounds.thefts) return [];
  const present = world.ghosts.newest.disk.store.lineage;
  return server.records.slice(0, present).flatMap(({ mark, closed }, lineage) => {
    if (closed || mark === NOBODY) return [];
    const stolen = Mark.of(mark.number + 1, THIEF);
    const request = {
      kind: 'update',
      lineage,
      mark: stolen,
      head: undefined,
      forget: [],
      close: undefined,
    } as const;
    const next = withServer(world, index, served(net, world, server, request));
    return [{ name: `a thief shows a mark of lineage ${lineage} at s${index}`, next: used(next, 'thefts') }];
  });
}

function hostSteps(net: Net, world: World): Step<World>[] {
  const { saved, machines } = world;
  const [first] = machines;
  if (net.bounds.restores === 0) return [];
  if (saved === undefined) {
    if (first.disk === undefined) return [];
    return [{ name: 'host copies the disk of A', next: { ...world, saved: first.disk } }];
  }
  if (world.used.restores >= net.bounds.restores) return [];
  const restored = used(world, 'restores');
  return MACHINES.flatMap((at) => {
    const { disk, process } = machines[at];
    if (process !== undefined || (at === 1 && !net.bounds.clones)) return [];
    const put = (what: string, content: Disk): Step<World> => ({
      name: `host puts ${what} of the copy into ${at === 0 ? 'A' : 'B'}`,
      next: withMachine(restored, at, { disk: content }),
    });
    if (disk === undefined || !net.bounds.splits) return [put('all', saved)];
    return [
      put('all', saved),
      put('the store', { ...disk, store: saved.store }),
      put('the keyslot file', { ...disk, file: saved.file }),
    ];
  });
}
