import type { FileHandle, FileSystem, OpenMode } from '../../disk/file-system.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { damagedAt, isReadOnly, systemCode, writeFailure } from '../files/disk-failure.ts';
import { inFolder } from '../files/files.ts';
import { keysFileName, mostKeysBytes, NamespaceKeys } from '../keys/namespace-keys.ts';
import { MANIFEST_FILE } from '../keys/store-header.ts';
import { MAX_FRAME_BYTES } from '../log/frame.ts';
import { FrozenTail } from '../log/frozen-tail.ts';
import type { ListedSegment, Manifest } from '../log/manifest.ts';
import {
  LARGEST_SEGMENT_TARGET,
  MAX_ROOM_BYTES,
  readSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type Segment,
  type SegmentHeader,
  segmentFileName,
} from '../log/segment.ts';
import type { StoreState } from '../store-state.ts';

/** How files are opened: `read` needs no right to write, and then nothing can be written. */
export type Access = 'read' | 'read-write';

/** A segment with its file open; its header is the listed one. */
export interface OpenedSegment {
  readonly segment: Segment;
  readonly listed: ListedSegment;
  readonly header: SegmentHeader;
  readonly readable: Pick<FileHandle, 'readSync'>;
  readonly size: number;
}

/** Places of over eight million erasable namespaces that live at the same time. */
const MAX_KEYS_BYTES = 1024 * 1024 * 1024;

/**
 * Opens the file with the wrapped keys of erasable namespaces. When it is longer than it can be, only the beginning
 * counts.
 */
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
    const most = mostKeysBytes(nextNamespaceId) + size;
    const bytes = new Uint8Array(Math.min(await handle.size(), most, MAX_KEYS_BYTES));
    handle.readSync(bytes, 0);
    const keys = {
      wrapping: state.keys.current.records,
      storeId: state.storeId,
      random: state.tuning.random,
    };
    return new NamespaceKeys({ path, number, handle }, bytes, keys);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Opens one segment and verifies that it is the listed one. Only the last one is opened for writing. */
export async function openSegment(
  state: StoreState,
  listed: ListedSegment,
  access: Access,
  isLast: boolean,
): Promise<OpenedSegment> {
  const file = segmentFileName(listed.id);
  const path = inFolder(state.folder, file);
  const keys = state.keysOf(listed.keyVersion);
  if (keys === undefined)
    throw damagedAt('STORE_SEGMENT_DAMAGED', MANIFEST_FILE, 0, `no keys of the version of ${file}`);
  const mode = isLast ? access : 'read';
  const handle = await openListed(state.fileSystem, path, mode, 'STORE_SEGMENT_MISSING');
  let segment: Segment | undefined;
  try {
    const size = await handle.size();
    checkSize(file, size, listed, isLast);
    const headerBytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    handle.readSync(headerBytes, 0);
    const expected = { id: listed.id, headerMac: listed.headerMac, storeId: state.storeId };
    const header = readSegmentHeader(headerBytes, expected, keys.chainKey.reveal());
    segment = state.log.add(header, { path, handle, headerMac: listed.headerMac, keys });
    segment.cleanAsOf = listed.cleanAsOf;
    state.log.segments = [...state.log.segments, segment];
    if (!isLast || access === 'read-write') return { segment, listed, header, readable: handle, size };
    // Without the lock another process may be writing: its frames take the place of zeros inside the file.
    const readable = new FrozenTail(handle, size);
    return { segment, listed, header, readable, size: readable.size };
  } finally {
    if (segment === undefined) await handle.close();
  }
}

/** Most bytes of a segment file with this number of durable bytes. */
export const mostSegmentBytes = (durableBytes: number, isLast: boolean): number =>
  (isLast ? Math.max(durableBytes, LARGEST_SEGMENT_TARGET) : durableBytes) +
  MAX_FRAME_BYTES +
  2 * MAX_ROOM_BYTES;

/** Refuses an impossible size before anything is read: a sparse file costs the host nothing and its reader minutes. */
function checkSize(file: string, size: number, listed: ListedSegment, isLast: boolean): void {
  if (size < listed.length)
    throw damagedAt('STORE_SEGMENT_TRUNCATED', file, size, `ends here; ${listed.length} bytes were durable`);
  const most = mostSegmentBytes(listed.length, isLast);
  if (size > most)
    throw damagedAt('STORE_SEGMENT_DAMAGED', file, most, `goes on to byte ${size}, which no segment can`);
}

async function openListed(
  fileSystem: FileSystem,
  path: string,
  mode: OpenMode,
  missing: 'STORE_SEGMENT_MISSING' | 'STORE_NAMESPACE_KEY_DAMAGED',
): Promise<FileHandle> {
  try {
    return await fileSystem.open(path, mode, { durableWrites: mode === 'read-write' });
  } catch (error) {
    if (mode === 'read-write' && isReadOnly(error)) throw writeFailure(error, path);
    if (systemCode(error) !== 'ENOENT') throw error;
    throw new EvidenceError(missing, `${path} is gone`, {
      field: path,
      hint: 'the store was left as it is; restore a backup',
    });
  }
}
