import { Mark } from './marks.ts';
import { type Bounds, type Disk, isLinked, type Process, type SlotState, type World } from './world.ts';

/** What a write of a process breaks; `isFirst` for the first record after it holds. */
export function writeViolation(
  { servers, ghosts }: World,
  process: Process,
  { store }: Disk,
  isFirst: boolean,
  { threshold, lies }: Bounds,
): string | undefined {
  if (process.hasMetNewer) return 'TWO WRITERS: it writes after a server showed a newer mark';
  if (!isFirst || process.accepts) return undefined;
  const { history } = store;
  // A newer boot held in between: this one is stopped when it looks, and has written what nobody was told.
  if (ghosts.newest.mark.beats(Mark.of(process.number, process.boot))) return undefined;
  const isPart = history.last.number === process.number;
  if (isPart) return undefined;
  const lost = servers.filter(
    (server, index) =>
      !(lies && index === servers.length - 1) &&
      isLinked(server, process.opensBy) &&
      server.toldIn === store.lineage &&
      !history.contains(server.told),
  );
  if (lost.length >= threshold)
    return 'ROLLED BACK: t servers of the generation had acknowledged a head that is lost';
  return store.lineage !== ghosts.acknowledgedIn || history.contains(ghosts.acknowledged)
    ? undefined
    : 'ROLLED BACK later: a head that t servers had acknowledged at one time is lost';
}

/**
 * Whether requests that erase, alone, took every disk that has the records of the newest holder its last way to open. A
 * slot that a restart took counts as if it lived: with restarts a late request can cost the slot that was missing (see
 * the threat model).
 */
export function erasure(before: World, after: World, bounds: Bounds): string | undefined {
  return opensNewest(before, bounds) && !opensNewest(after, bounds)
    ? 'ERASED: a forget erased the slots of the newest holder'
    : undefined;
}

function opensNewest({ ghosts, machines, servers }: World, { threshold }: Bounds): boolean {
  const { disk: newest } = ghosts.newest;
  const disks = machines.flatMap(({ disk }) => (disk === undefined ? [] : [disk]));
  const complete = disks.filter(({ store }) => store.history.contains(newest.store.history));
  return [newest, ...complete].some(({ file }) =>
    file.some((generation) => servers.filter(({ slots }) => isKept(slots[generation])).length >= threshold),
  );
}

const isKept = (state: SlotState | undefined): boolean => state !== undefined && state !== 'none';
