import type { RandomSource } from '../../crypto/random.ts';
import type { FileHandle, FileSystem, FolderLock } from '../../disk/file-system.ts';
import { inFolder, removeFile, requireInPlace, syncFile, syncFolder, throwFirst } from '../files/files.ts';
import type { Location } from '../index/ordered-index.ts';
import type { RecordKeys } from '../keys/store-keys.ts';
import {
  encodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type Segment,
  type SegmentHeader,
  segmentFileName,
} from './segment.ts';
import { lengthOf, SegmentTable } from './segment-table.ts';

/** The facts about a segment before its frames are read. */
export type SegmentStart = Pick<SegmentHeader, 'kind' | 'firstOrdinal' | 'previous'>;

/** Where the segment files are. */
interface SegmentPlace {
  readonly fileSystem: FileSystem;
  readonly folder: string;
  readonly lock: FolderLock | undefined;
}

/** An open file of a segment and what its header says. */
interface SegmentFile {
  readonly path: string;
  readonly handle: FileHandle;
  readonly headerMac: Uint8Array;
  readonly keys: RecordKeys;
}

/** The segment files of an open store. */
export class SegmentLog {
  /** Every segment with an open file, listed or not. */
  readonly table = new SegmentTable();
  /** The listed segments, oldest first; the last one is being written. */
  segments: readonly Segment[] = [];
  /** Removals of obsolete files that are under way. */
  drops: Promise<void> = Promise.resolve();
  /** Bytes of frames that were written since the position of the last checkpoint; without one, of all segments. */
  bytesSinceCheckpoint = 0;
  /** Called when an obsolete file was removed. */
  onDrop: () => void = () => undefined;
  readonly #fileSystem: FileSystem;
  readonly #folder: string;
  readonly #lock: FolderLock | undefined;
  readonly #storeId: Uint8Array;
  readonly #random: RandomSource;
  #nextId: number;
  #isClosed = false;

  constructor(place: SegmentPlace, storeId: Uint8Array, nextId: number, random: RandomSource) {
    this.#fileSystem = place.fileSystem;
    this.#folder = place.folder;
    this.#lock = place.lock;
    this.#storeId = storeId;
    this.#nextId = nextId;
    this.#random = random;
  }

  /** The segment that is being written; `undefined` before there is one and after closing. */
  get last(): Segment | undefined {
    return this.segments.at(-1);
  }

  /** Number of the next segment. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Makes the file of a new segment with its header, durably, but does not list it. When it fails no file is left. */
  async create(start: SegmentStart, keys: RecordKeys): Promise<Segment> {
    await requireInPlace(this.#lock, this.#folder);
    const id = this.#nextId;
    this.#nextId += 1;
    const path = inFolder(this.#folder, segmentFileName(id));
    const header = { ...start, id, salt: this.#random(16), keyVersion: keys.version, storeId: this.#storeId };
    const bytes = encodeSegmentHeader(header, keys.chainKey.reveal());
    try {
      // A crash may have left a file that no manifest ever listed.
      await removeFile(this.#fileSystem, path);
      const handle = await this.#fileSystem.open(path, 'create', { durableWrites: true });
      await this.#writeHeader(handle, bytes).catch(async (error: unknown) => {
        await handle.close().catch(() => undefined);
        throw error;
      });
      return this.add(header, { path, handle, headerMac: bytes.subarray(96), keys });
    } catch (error) {
      await removeFile(this.#fileSystem, path).catch(() => undefined);
      this.#giveBack(id);
      throw error;
    }
  }

  /** Enters an open file into the table. */
  add(
    start: SegmentStart & { readonly id: number },
    { path, handle, headerMac, keys }: SegmentFile,
  ): Segment {
    return this.table.add((row) => ({
      id: start.id,
      kind: start.kind,
      path,
      handle,
      keys,
      headerMac,
      firstOrdinal: start.firstOrdinal,
      row,
      length: SEGMENT_HEADER_BYTES,
      room: 0,
      takesRoom: true,
      nextOrdinal: start.firstOrdinal,
      digest: start.previous,
      cleanAsOf: 0,
      liveBytes: 0,
      erasedBytes: 0,
      keptBytes: 0,
      readers: 0,
      obsolete: false,
    }));
  }

  /** Removes a segment that was never listed. */
  async discard(segment: Segment): Promise<void> {
    await this.#remove(segment);
    this.#giveBack(segment.id);
  }

  /** The manifest no longer lists these: each file goes when its last reader does. */
  retire(segments: readonly Segment[]): void {
    for (const segment of segments) {
      segment.obsolete = true;
      if (segment.readers === 0) this.#dropLater(segment);
    }
  }

  /** Removes a file that no manifest lists any more, in the background; failing leaves an orphan. */
  removeLater(path: string): void {
    if (this.#isClosed) return;
    const removal = requireInPlace(this.#lock, this.#folder)
      .then(() => removeFile(this.#fileSystem, path))
      .catch(() => undefined);
    this.drops = this.drops.then(() => removal);
  }

  /** Keeps the files of all present segments until released. */
  pin(): () => void {
    const pinned = [...this.table.all()];
    for (const segment of pinned) segment.readers += 1;
    return () => {
      for (const segment of pinned.splice(0)) {
        segment.readers -= 1;
        if (segment.obsolete && segment.readers === 0) this.#dropLater(segment);
      }
    };
  }

  /** A record that the index no longer refers to is dead weight of its segment. */
  forget({ address, extent }: Location): void {
    this.table.segmentAt(address).liveBytes -= lengthOf(extent);
  }

  /** As {@link forget}, for a record of an erased namespace: a sweep rewrites the segment without it. */
  forgetErased(location: Location): void {
    this.forget(location);
    this.table.segmentAt(location.address).erasedBytes += lengthOf(location.extent);
  }

  /** Segments with these numbers may hold overwritten records of an erased namespace, which a sweep removes too. */
  markErased(ids: ReadonlySet<number>): void {
    for (const segment of this.segments)
      if (ids.has(segment.id) && segment.erasedBytes === 0) segment.erasedBytes = 1;
  }

  /** Closes all files. @throws the first error of closing one, after all were closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const closings = await Promise.allSettled([...this.table.all()].map(({ handle }) => handle.close()));
    this.segments = [];
    throwFirst(closings);
  }

  async #writeHeader(handle: FileHandle, bytes: Uint8Array): Promise<void> {
    await handle.write([bytes], 0);
    await syncFile(handle);
    await syncFolder(this.#fileSystem, this.#folder);
  }

  async #remove(segment: Segment): Promise<void> {
    this.table.remove(segment);
    // Its content is not needed any more, so a failed close must not keep the file.
    await segment.handle.close().catch(() => undefined);
    // Another store in the place of the folder has segments of the same names.
    await requireInPlace(this.#lock, this.#folder);
    await removeFile(this.#fileSystem, segment.path);
  }

  /** Failing leaves an orphan, which the next opening removes. */
  #dropLater(segment: Segment): void {
    if (this.#isClosed) return;
    const drop = this.#remove(segment)
      .catch(() => undefined)
      .then(() => this.onDrop());
    this.drops = this.drops.then(() => drop);
  }

  /** The number of a segment that was never listed is used again, unless a higher number is in use. */
  #giveBack(id: number): void {
    if (this.#nextId === id + 1) this.#nextId = id;
  }
}
