import { equalBytes } from '../../bytes/concat.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { FileHandle, FileSystem, FolderLock } from '../../disk/file-system.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { keepDamaged } from '../files/damaged-segments.ts';
import { damagedAt, isReadOnly, readFailure, systemCode, writeFailure } from '../files/disk-failure.ts';
import { cutTail } from '../log/durable-append.ts';
import { inFolder, removeFile, shredFile } from '../files/files.ts';
import { FrozenTail } from '../log/frozen-tail.ts';
import { HeadCheck } from './head-check.ts';
import { type ListedSegment, type Manifest, openManifest } from '../log/manifest.ts';
import { KEY_PLACE_BYTES, keysFileName, NamespaceKeys } from '../keys/namespace-keys.ts';
import { Replay } from './replay.ts';
import {
  readSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type Segment,
  type SegmentHeader,
  segmentFileName,
} from '../log/segment.ts';
import { type ScanEnd, SegmentScan } from '../log/segment-scan.ts';
import type { LogHead } from '../api/store-api.ts';
import { MANIFEST_FILE, readManifestFile, type StoreHeader } from '../keys/store-header.ts';
import { EpochKeys } from '../keys/store-keys.ts';
import { StoreState, type StoreTuning } from '../store-state.ts';

/** What opening found and did. */
export interface OpeningReport {
  /** Bytes of an unfinished last write that were cut off; 0 after a clean end. */
  readonly tornBytes: number;
  /** Files of interrupted work that were removed. */
  readonly removedFiles: readonly string[];
  /** Keys of erased namespaces whose destruction a crash had interrupted. */
  readonly destroyedKeys: number;
}

/** How files are opened: `read` needs no right to write, and then nothing can be written. */
export type Access = 'read' | 'read-write';

/** What recovery works on. */
export interface RecoverySource {
  readonly fileSystem: FileSystem;
  readonly path: string;
  readonly storeKey: SecretBytes;
  readonly expectedHead: LogHead | undefined;
  readonly tuning: StoreTuning;
  readonly access: Access;
}

/** The state of a store as read, before anything on the disk was changed. */
export interface Recovered {
  readonly state: StoreState;
  readonly tornBytes: number;
}

/**
 * Reads and verifies a whole store without changing it. Every file is opened before any is read: beside a process that
 * writes, compacts and erases, what is open stays readable, and of what was in the log by then the keys are there.
 * @throws EvidenceError with the code of whatever is wrong, and its place.
 */
export async function readStore(source: RecoverySource, lock: FolderLock | undefined): Promise<Recovered> {
  const { header, manifest } = openManifest(
    await readManifestFile(source.fileSystem, source.path),
    source.storeKey,
  );
  const state = stateOf(source, lock, header, manifest);
  const check = new HeadCheck(source.expectedHead);
  try {
    const opened: OpenedSegment[] = [];
    for (const listed of manifest.segments) {
      const isLast = listed === manifest.segments.at(-1);
      opened.push(await openSegment(state, listed, source.access, isLast));
    }
    state.namespaceKeys = await openKeysFile(state, manifest, source.access);
    const replay = new Replay(state);
    let tornBytes = 0;
    for (const segment of opened)
      tornBytes = await replaySegment(state, segment, { isLast: segment === opened.at(-1), replay, check });
    replay.finish();
    check.finish(state.head());
    return { state, tornBytes };
  } catch (error) {
    await closeFiles(state);
    throw readFailure(error, source.path);
  }
}

/** An empty state with the keys and numbers of a manifest. */
export function stateOf(
  { fileSystem, path, storeKey, tuning }: RecoverySource,
  lock: FolderLock | undefined,
  header: StoreHeader,
  manifest: Manifest,
): StoreState {
  const oldEpochs = manifest.oldEpochs.map(
    ({ epoch, recordsKey, chainKey }) =>
      new EpochKeys(epoch, SecretBytes.adopt(recordsKey), SecretBytes.adopt(chainKey)),
  );
  const { generation, nextSegmentId, nextNamespaceId } = manifest;
  const parts = { fileSystem, folder: path, lock, header, generation, nextSegmentId, nextNamespaceId };
  const keys = EpochKeys.of(manifest.epoch, storeKey);
  return new StoreState({ ...parts, oldEpochs, keys, storeKey: new SecretBytes(storeKey.reveal()) }, tuning);
}

/** Opens the file with the wrapped keys of erasable namespaces. Of one that is longer than it can be, only the beginning counts. */
export async function openKeysFile(
  state: StoreState,
  { keysFile: number, nextNamespaceId, segments }: Manifest,
  access: Access,
): Promise<NamespaceKeys> {
  const path = inFolder(state.folder, keysFileName(number));
  const handle = await openListed(state.fileSystem, path, access, 'STORE_NAMESPACE_KEY_DAMAGED');
  try {
    const log = inFolder(state.folder, segmentFileName(segments.at(-1)?.id ?? 0));
    const { size = 0 } = (await state.fileSystem.stat(log)) ?? {};
    // A namespace that the manifest does not count yet has a frame in the log, which is longer than a place.
    const most = (nextNamespaceId + 2) * KEY_PLACE_BYTES + size;
    const bytes = new Uint8Array(Math.min(await handle.size(), most, MAX_KEYS_BYTES));
    handle.readSync(bytes, 0);
    const keys = { wrapping: state.keys.records, storeId: state.storeId, random: state.tuning.random };
    return new NamespaceKeys({ path, number, handle }, bytes, keys);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Places of over eight million erasable namespaces that live at the same time. */
const MAX_KEYS_BYTES = 1024 * 1024 * 1024;

async function openListed(
  fileSystem: FileSystem,
  path: string,
  access: Access,
  missing: 'STORE_SEGMENT_MISSING' | 'STORE_NAMESPACE_KEY_DAMAGED',
): Promise<FileHandle> {
  try {
    return await fileSystem.open(path, access);
  } catch (error) {
    if (access === 'read-write' && isReadOnly(error)) throw writeFailure(error, path);
    if (systemCode(error) !== 'ENOENT') throw error;
    throw new EvidenceError(missing, `${path} is gone`, {
      field: path,
      hint: 'the store was left as it is; restore a backup',
    });
  }
}

interface SegmentRole {
  /** Only the segment being written may have a torn tail. */
  readonly isLast: boolean;
  readonly replay: Replay;
  readonly check: HeadCheck;
}

interface OpenedSegment {
  readonly segment: Segment;
  readonly listed: ListedSegment;
  readonly header: SegmentHeader;
  readonly readable: Pick<FileHandle, 'readSync'>;
  readonly size: number;
}

/** Opens one segment and verifies that it is the listed one. */
async function openSegment(
  state: StoreState,
  listed: ListedSegment,
  access: Access,
  isLast: boolean,
): Promise<OpenedSegment> {
  const file = segmentFileName(listed.id);
  const path = inFolder(state.folder, file);
  const keys = state.keysOf(listed.epoch);
  if (keys === undefined)
    throw damagedAt('STORE_SEGMENT_DAMAGED', MANIFEST_FILE, 0, `no keys for the epoch of ${file}`);
  const handle = await openListed(state.fileSystem, path, access, 'STORE_SEGMENT_MISSING');
  let segment: Segment | undefined;
  try {
    const size = await handle.size();
    if (size < listed.length)
      throw damagedAt(
        'STORE_SEGMENT_TRUNCATED',
        file,
        size,
        `ends here; ${listed.length} bytes were durable`,
      );
    const headerBytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    handle.readSync(headerBytes, 0);
    const expected = { id: listed.id, headerMac: listed.headerMac, storeId: state.storeId };
    const header = readSegmentHeader(headerBytes, expected, keys.chainKey.reveal());
    segment = state.addSegment(header, path, handle, listed.headerMac, keys);
    segment.cleanAsOf = listed.cleanAsOf;
    state.segments.push(segment);
    if (!isLast || access === 'read-write') return { segment, listed, header, readable: handle, size };
    // Without the lock another process may be writing: its frames take the place of zeros inside the file.
    const readable = new FrozenTail(handle, size);
    return { segment, listed, header, readable, size: readable.size };
  } finally {
    if (segment === undefined) await handle.close();
  }
}

/** Verifies and replays one segment. @returns length of the torn tail. */
async function replaySegment(state: StoreState, opened: OpenedSegment, role: SegmentRole): Promise<number> {
  const { segment, listed, header, size } = opened;
  const isLog = header.kind === 'log';
  if (isLog) role.check.position(header.firstOrdinal - 1, header.previous);
  const scan = new SegmentScan(
    { handle: opened.readable, size, from: SEGMENT_HEADER_BYTES },
    { storeId: state.storeId, chainKey: segment.keys.chainKey.reveal() },
    { ordinal: header.firstOrdinal, digest: header.previous },
  );
  let found = scan.next();
  let breathe = 0;
  while (found.kind === 'frame') {
    checkWatermark(listed, found.at, scan, segment);
    role.replay.frame(segment, found);
    segment.length = found.at + found.bytes.length;
    segment.nextOrdinal = scan.position.ordinal;
    segment.digest = scan.position.digest;
    if (isLog) role.check.position(segment.nextOrdinal - 1, segment.digest);
    // A large store takes seconds to read; timers and requests must not starve meanwhile.
    breathe += found.bytes.length;
    if (breathe > 1024 * 1024) breathe = await letOthersRun();
    found = scan.next();
  }
  checkWatermark(listed, found.at, scan, segment);
  if (found.kind === 'room' && role.isLast && found.at >= listed.length) {
    segment.room = size - found.at;
    return 0;
  }
  if (found.kind !== 'end') judgeEnd(found, scan, opened, role.isLast);
  // Also the last one: it may have become shorter since its size was asked for.
  else if (role.isLast ? size < listed.length : size !== listed.length)
    throw damagedAt('STORE_SEGMENT_DAMAGED', segmentFileName(segment.id), size, 'another length than it had');
  return size - segment.length;
}

const letOthersRun = (): Promise<number> => new Promise((resolve) => setImmediate(() => resolve(0)));

/** At the place that the manifest knows to be durable, the chain must stand where the manifest says. */
function checkWatermark(listed: ListedSegment, at: number, scan: SegmentScan, segment: Segment): void {
  const passed = segment.length;
  if (passed !== listed.length || at < passed) return;
  const { digest, nextOrdinal } = segment;
  if (nextOrdinal !== listed.nextOrdinal || !equalBytes(digest, listed.digest))
    throw damagedAt(
      'STORE_RECORD_MISPLACED',
      segmentFileName(segment.id),
      passed,
      `the log up to here is not the one that was durable (record ${scan.position.ordinal})`,
    );
}

/** Decides whether a place that does not continue the chain is the torn end of the last write, or damage. */
function judgeEnd(
  end: ScanEnd,
  scan: SegmentScan,
  { segment, listed }: OpenedSegment,
  isLast: boolean,
): void {
  const file = segmentFileName(segment.id);
  if (end.kind === 'misplaced')
    throw damagedAt('STORE_RECORD_MISPLACED', file, end.at, 'a genuine frame lies where another one belongs');
  const isDurable = !isLast || end.at < listed.length;
  // The torn end of a write may look strange by chance, so only durable bytes are judged by their mark.
  if (end.kind === 'foreign' || (isDurable && end.kind === 'strange'))
    throw damagedAt('STORE_RECORD_FOREIGN', file, end.at, 'a frame carries the mark of another store');
  if (isDurable) throw damagedAt('STORE_SEGMENT_DAMAGED', file, end.at, 'a frame does not authenticate');
  if (scan.findsLaterFrame())
    throw damagedAt(
      'STORE_SEGMENT_DAMAGED',
      file,
      end.at,
      'a frame does not authenticate, and a later one says that it was durable',
    );
}

/**
 * Finishes what a crash interrupted: only now, when all is verified, anything is changed.
 * @param overridden a deposited head that a human decided to give up; the log goes on in a generation above it.
 */
export async function mend(
  { state, tornBytes }: Recovered,
  overridden: LogHead | undefined,
): Promise<OpeningReport> {
  try {
    // A killed process leaves a renamed manifest and the last frames in the page cache, where they look durable: what
    // is built on and shown from here on must be.
    await state.fileSystem.syncDirectory(state.folder);
    if (tornBytes > 0 || state.active.room > 0) await cutTail(state.active);
    else await state.active.handle.sync();
    if (overridden !== undefined && state.generation <= overridden.generation) {
      state.generation = overridden.generation + 1;
      await state.saveManifest(state.manifest());
    }
    const destroyedKeys = await state.namespaceKeys.destroyUnused();
    return { tornBytes, destroyedKeys, removedFiles: await removeOrphans(state) };
  } catch (error) {
    await closeFiles(state);
    throw writeFailure(error, 'the end of the log');
  }
}

const ownFile = /^(segment-\d{10}|keys-\d{10}|MANIFEST\.new|(RESTORING|REPAIRING)(\.new)?)$/;

/** Removes files of interrupted compactions, rotations and restorations; a crash may have left them, no manifest lists them. */
async function removeOrphans(state: StoreState): Promise<string[]> {
  const listed = new Set(state.segments.map(({ id }) => segmentFileName(id)));
  listed.add(keysFileName(state.namespaceKeys.number));
  await keepDamaged(state.fileSystem, state.folder, listed);
  const names = await state.fileSystem.list(state.folder);
  const orphans = names.filter((name) => ownFile.test(name) && !listed.has(name));
  for (const name of orphans) {
    const path = inFolder(state.folder, name);
    // A keys file of an interrupted change of the store key holds keys that are still to be destroyed one day.
    if (name.startsWith('keys-')) await shredFile(state.fileSystem, path);
    else await removeFile(state.fileSystem, path);
  }
  if (orphans.length > 0) await state.fileSystem.syncDirectory(state.folder);
  return orphans;
}

/** Closes all files and wipes all keys; the lock stays. */
export async function closeFiles(state: StoreState): Promise<void> {
  state.closed = true;
  for (const segment of [...state.table.all()]) await segment.handle.close();
  state.segments = [];
  state.keys.wipe();
  for (const keys of state.oldEpochs) keys.wipe();
  for (const { key } of state.namespaces.all()) key?.wipe();
  state.storeKey.wipe();
  await state.closeKeysFile();
}
