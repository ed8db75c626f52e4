import { Mark } from './marks.ts';
import { type Bounds, type Disk, isLinked, living, type Process, type World } from './world.ts';

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
  // A newer boot held meanwhile: this one is stopped when it looks, and has written what nobody was told.
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

/** Whether the disk of the newest holder opened before a request that erases, and does not open after it. */
export function erasure(before: World, after: World, { threshold }: Bounds): string | undefined {
  const opens = (world: World): boolean =>
    before.ghosts.newest.disk.file.some((generation) => living(world, generation) >= threshold);
  return opens(before) && !opens(after)
    ? 'ERASED: a forget erased the slots of the newest holder'
    : undefined;
}
