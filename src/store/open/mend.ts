import { EvidenceError } from '../../errors/latchkey-error.ts';
import { keepDamaged } from '../files/damaged-segments.ts';
import { writeFailure } from '../files/disk-failure.ts';
import { inFolder, removeFile, requireInPlace, shredFile, syncFile, syncFolder } from '../files/files.ts';
import { keysFileName, mostKeysBytes } from '../keys/namespace-keys.ts';
import { checkpointFileName } from '../log/checkpoint-format.ts';
import { cutTail } from '../log/durable-append.ts';
import { segmentFileName } from '../log/segment.ts';
import type { StoreState } from '../store-state.ts';
import type { CheckpointUse, ReadLog } from './recovery.ts';

/** The findings and repairs of an opening. */
export interface OpeningReport {
  /** Bytes of an unfinished last write that were cut off; 0 after a clean end. */
  readonly tornBytes: number;
  /** Files of interrupted work that were removed. */
  readonly removedFiles: readonly string[];
  /**
   * Whether the index came from a checkpoint and a replay of what followed; `unusable` when the listed one was gone or
   * altered, and everything was replayed instead.
   */
  readonly checkpoint: CheckpointUse;
  /** Number of keys of erased namespaces that a crash had left; they are destroyed now. */
  readonly destroyedKeys: number;
}

/** Finishes what a crash interrupted: only now, when all is verified and admitted, anything is changed. */
export async function mend({ state, tornBytes, checkpoint }: ReadLog): Promise<OpeningReport> {
  try {
    // The caller's judge may have taken long: another store's files must not be taken for leftovers of this one.
    await requireInPlace(state.lock, state.folder);
    await refuseFolders(state);
    // A killed process leaves a renamed manifest and the last frames in the page cache, where they look durable: what
    // is built on and shown from here on must be.
    await syncFolder(state.fileSystem, state.folder);
    if (tornBytes > 0 || state.active.room > 0) await cutTail(state.active);
    else await syncFile(state.active.handle);
    const destroyedKeys = await state.namespaceKeys.destroyUnused();
    return { tornBytes, checkpoint, destroyedKeys, removedFiles: await removeOrphans(state) };
  } catch (error) {
    await state.close().catch(() => undefined);
    throw writeFailure(error, 'the end of the log');
  }
}

const ownFile =
  /^(segment-\d{10}|keys-\d{10}|checkpoint-\d{10}|MANIFEST\.new|(RESTORING|REPAIRING)(\.new)?)$/;

/**
 * Before anything is changed: a folder under the name of a leftover file cannot be removed as a file, and no work of
 * this store makes one.
 * @throws EvidenceError STORE_FILE_IRREGULAR.
 */
async function refuseFolders({ fileSystem, folder }: StoreState): Promise<void> {
  for (const name of (await fileSystem.list(folder)).filter((one) => ownFile.test(one))) {
    const path = inFolder(folder, name);
    if ((await fileSystem.stat(path))?.kind !== 'directory') continue;
    throw new EvidenceError(
      'STORE_FILE_IRREGULAR',
      `${path} is not a regular file: it is a folder or leads to one`,
      {
        field: path,
        expected: 'a regular file, or none',
        observed: 'a folder, or a link to one',
        hint: 'nothing was changed; find out who made it, and move it away',
      },
    );
  }
}

/** Removes files of interrupted compactions, rotations and restorations; a crash may have left them, no manifest lists them. */
async function removeOrphans(state: StoreState): Promise<string[]> {
  const listed = new Set(state.log.segments.map(({ id }) => segmentFileName(id)));
  listed.add(keysFileName(state.namespaceKeys.number));
  if (state.checkpoint !== undefined) listed.add(checkpointFileName(state.checkpoint.reference.number));
  await keepDamaged(state.fileSystem, state.folder, listed);
  const names = await state.fileSystem.list(state.folder);
  const orphans = names.filter((name) => ownFile.test(name) && !listed.has(name));
  for (const name of orphans) {
    const path = inFolder(state.folder, name);
    // A keys file of an interrupted change of the store key holds keys that are still to be destroyed one day.
    const isKeys = name.startsWith('keys-') && (await state.fileSystem.stat(path))?.kind === 'file';
    if (isKeys) await shredFile(state.fileSystem, path, mostKeysBytes(state.namespaces.nextId));
    else await removeFile(state.fileSystem, path);
  }
  if (orphans.length > 0) await syncFolder(state.fileSystem, state.folder);
  return orphans;
}
