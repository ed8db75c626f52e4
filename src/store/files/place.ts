import { dirname } from 'node:path';
import { equalBytes, utf8 } from '../../bytes/concat.ts';
import type { FileSystem } from '../../disk/file-system.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { keysFileName } from '../keys/namespace-keys.ts';
import { MANIFEST_FILE, RESTORE_MARKER } from '../keys/store-header.ts';
import { SEGMENT_HEADER_BYTES, segmentFileName } from '../log/segment.ts';
import { systemCode, writeFailure } from './disk-failure.ts';
import { inFolder, prepareFile, putInPlace, readWholeFile, removeFile, syncFolder } from './files.ts';

/**
 * What the marker of a restoration holds. While it is there and no manifest is, the segments and keys files
 * in the folder are what an interrupted restoration wrote: no store, and its backup is elsewhere.
 */
const MARKER_TEXT = utf8('latchkey: a restore is under way here\n');
/** Made by each process that takes the lock of the folder, also by this one. */
const LOCK_FILES = /^LOCK($|\.)/;
const restoredFile = /^(segment|keys)-\d{10}$/;

/** Makes the folder, or accepts an empty one. */
export async function prepareFolder(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    const place = await fileSystem.stat(path);
    if (place === undefined) {
      await fileSystem.mkdir(path);
      await syncFolder(fileSystem, dirname(path));
    } else if (place.kind !== 'directory')
      throw new EvidenceError('STORE_PLACE_NOT_A_FOLDER', `${path} is not a folder`, { field: 'path' });
  } catch (error) {
    if (systemCode(error) === 'ENOENT')
      throw new EvidenceError('STORE_PLACE_NOT_A_FOLDER', `the folder that ${path} lies in does not exist`, {
        field: 'path',
      });
    throw writeFailure(error, path);
  }
}

/**
 * Refuses a folder with anything in it, but for what an interrupted creation or restoration leaves, which goes.
 * @throws EvidenceError STORE_EXISTS or STORE_PLACE_NOT_EMPTY.
 */
export async function clearFolder(fileSystem: FileSystem, path: string): Promise<void> {
  const names = (await fileSystem.list(path)).filter((name) => !LOCK_FILES.test(name));
  if (names.includes(MANIFEST_FILE))
    throw new EvidenceError('STORE_EXISTS', `there is a store in ${path} already`, { field: 'path' });
  const isRestoring = names.includes(RESTORE_MARKER) && (await isMarker(fileSystem, path));
  for (const name of names) {
    if (await isLeftover(fileSystem, inFolder(path, name), name, isRestoring)) continue;
    throw new EvidenceError('STORE_PLACE_NOT_EMPTY', `${path} is not empty: it has ${name}`, {
      field: 'path',
      hint: 'a store is made in a new or an empty folder only',
    });
  }
  for (const name of names) if (name !== RESTORE_MARKER) await removeFile(fileSystem, inFolder(path, name));
  if (isRestoring) await unmarkFolder(fileSystem, path);
}

/** Says, durably and before any other file is there, that what will be in the folder is being restored. */
export async function markFolder(fileSystem: FileSystem, path: string): Promise<void> {
  const marker = inFolder(path, RESTORE_MARKER);
  await prepareFile(fileSystem, marker, MARKER_TEXT);
  await putInPlace(fileSystem, marker);
}

/** Removes the marker after all other files are durably gone: only the marker tells that they may be removed. */
export async function unmarkFolder(fileSystem: FileSystem, path: string): Promise<void> {
  await syncFolder(fileSystem, path);
  await removeFile(fileSystem, inFolder(path, RESTORE_MARKER));
}

/** Removes what an unfinished restoration wrote; a folder that is a store already is left as it is. */
export async function giveUpFolder(fileSystem: FileSystem, path: string): Promise<void> {
  const names = await fileSystem.list(path);
  if (names.includes(MANIFEST_FILE)) return;
  for (const name of names) if (restoredFile.test(name)) await removeFile(fileSystem, inFolder(path, name));
  await unmarkFolder(fileSystem, path);
}

async function isMarker(fileSystem: FileSystem, path: string): Promise<boolean> {
  const marker = inFolder(path, RESTORE_MARKER);
  const found = await fileSystem.stat(marker);
  if (found?.kind !== 'file' || found.size !== MARKER_TEXT.length) return false;
  return equalBytes(await readWholeFile(fileSystem, marker, MARKER_TEXT.length), MARKER_TEXT);
}

async function isLeftover(
  fileSystem: FileSystem,
  file: string,
  name: string,
  isRestoring: boolean,
): Promise<boolean> {
  const found = await fileSystem.stat(file);
  if (found?.kind !== 'file') return false;
  if (isRestoring && (name === RESTORE_MARKER || restoredFile.test(name))) return true;
  const most = ofCreation.get(name);
  return most !== undefined && found.size <= most;
}

/** Files that an interrupted creation may leave, and how long they can be: no record is in them. */
const ofCreation: ReadonlyMap<string, number> = new Map([
  [segmentFileName(1), SEGMENT_HEADER_BYTES],
  [keysFileName(1), 0],
  [`${MANIFEST_FILE}.new`, Number.POSITIVE_INFINITY],
  [`${RESTORE_MARKER}.new`, MARKER_TEXT.length],
]);
