import { utf8 } from '../../bytes/concat.ts';
import type { FileSystem } from '../../disk/file-system.ts';
import { inFolder, prepareFile, putInPlace, readWholeFile, removeFile, syncFolder } from './files.ts';

/** There while a lossy repair hands over: the names of the segment files that it gives up, one a line. */
const REPAIR_NOTE = 'REPAIRING';
const MAX_NOTE_BYTES = 16 * 1024 * 1024;
const segmentName = /^segment-\d{10}$/;

/** Notes durably which segment files a repair gives up: from then on nothing that interrupts it removes them. */
export async function noteDamaged(
  fileSystem: FileSystem,
  folder: string,
  names: readonly string[],
): Promise<void> {
  const note = inFolder(folder, REPAIR_NOTE);
  await prepareFile(fileSystem, note, utf8(names.join('\n')));
  await putInPlace(fileSystem, note);
}

/**
 * Renames the noted segment files to `damaged-…`, once the manifest lists others, and removes the note.
 * @param listed names of those that the manifest lists, which stay.
 */
export async function keepDamaged(
  fileSystem: FileSystem,
  folder: string,
  listed: ReadonlySet<string>,
): Promise<void> {
  const note = inFolder(folder, REPAIR_NOTE);
  const found = await fileSystem.stat(note);
  if (found === undefined) return;
  // It is not authenticated, so it can only keep a segment file from being removed.
  if (found.size <= MAX_NOTE_BYTES) {
    const text = Buffer.from(await readWholeFile(fileSystem, note, MAX_NOTE_BYTES)).toString('utf8');
    const noted = new Set(text.split('\n'));
    for (const name of await fileSystem.list(folder))
      if (segmentName.test(name) && noted.has(name) && !listed.has(name))
        await fileSystem.rename(inFolder(folder, name), inFolder(folder, `damaged-${name}`));
    await syncFolder(fileSystem, folder);
  }
  await removeFile(fileSystem, note);
  await syncFolder(fileSystem, folder);
}
