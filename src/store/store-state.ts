import { copyBytes } from '../bytes/copy-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { RandomSource } from '../crypto/random.ts';
import type { FileHandle, FileSystem, FolderLock } from '../disk/file-system.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { damagedAt, readFailure, systemCode, writeFailure } from './files/disk-failure.ts';
import { FaultRecord } from './fault-record.ts';
import type { StoreObserver } from './api/health.ts';
import { cutTail } from './log/durable-append.ts';
import { inFolder, prepareFile, putInPlace, removeFile } from './files/files.ts';
import { type CommitTarget, GroupCommit } from './commit/group-commit.ts';
import { type Manifest, sealManifest } from './log/manifest.ts';
import type { NamespaceKeys } from './keys/namespace-keys.ts';
import { type NamespaceState, NamespaceTable } from './index/namespace-state.ts';
import type { Location } from './index/ordered-index.ts';
import { type OpenedRecord, RecordSealer } from './log/record-sealer.ts';
import {
  encodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type Segment,
  type SegmentHeader,
  segmentFileName,
} from './log/segment.ts';
import { lengthOf, packExtent, packPlace, SegmentTable } from './log/segment-table.ts';
import type { LogHead } from './api/log-head.ts';
import { MANIFEST_FILE, type StoreHeader } from './keys/store-header.ts';
import type { EpochKeys } from './keys/store-keys.ts';
import type { Effect } from './commit/write-group.ts';

/** How a store is run. */
export interface StoreTuning {
  /** A segment of about this many bytes is finished and a new one begun. */
  readonly segmentBytes: number;
  /** Lengths of plaintexts are rounded up to multiples of this; a multiple of 16. */
  readonly paddingBytes: number;
  /** Most zeros that are written behind the log, ready for frames. */
  readonly roomBytes: number;
  readonly random: RandomSource;
  readonly observer?: StoreObserver | undefined;
}

/** What a store is made of when it opens. */
export interface StoreParts {
  readonly fileSystem: FileSystem;
  readonly folder: string;
  readonly lock: FolderLock | undefined;
  readonly header: StoreHeader;
  /** The state's own copy. */
  readonly storeKey: SecretBytes;
  readonly keys: EpochKeys;
  readonly oldEpochs: readonly EpochKeys[];
  readonly generation: number;
  readonly nextSegmentId: number;
  readonly nextNamespaceId: number;
}

/** Everything that an open store knows, shared by the parts that read, write, compact and rotate. */
export class StoreState implements CommitTarget {
  readonly fileSystem: FileSystem;
  readonly folder: string;
  readonly lock: FolderLock | undefined;
  readonly tuning: StoreTuning;
  readonly sealer: RecordSealer;
  readonly table = new SegmentTable();
  readonly namespaces = new NamespaceTable();
  readonly commit: GroupCommit;
  readonly faults: FaultRecord;
  /** Oldest first; the last one is being written. */
  segments: Segment[] = [];
  header: StoreHeader;
  storeKey: SecretBytes;
  keys: EpochKeys;
  oldEpochs: readonly EpochKeys[];
  generation: number;
  nextSegmentId: number;
  nextNamespaceId: number;
  closed = false;
  /** Called when a segment was finished. */
  onRoll: () => void = () => undefined;
  /** Called when a namespace was erased. */
  onErased: () => void = () => undefined;
  /** Removals of obsolete files that are under way. */
  drops: Promise<void> = Promise.resolve();
  #namespaceKeys: NamespaceKeys | undefined;
  #scratch = new Uint8Array(4096);

  constructor(parts: StoreParts, tuning: StoreTuning) {
    this.fileSystem = parts.fileSystem;
    this.folder = parts.folder;
    this.lock = parts.lock;
    this.tuning = tuning;
    this.header = parts.header;
    this.storeKey = parts.storeKey;
    this.keys = parts.keys;
    this.oldEpochs = parts.oldEpochs;
    this.generation = parts.generation;
    this.nextSegmentId = parts.nextSegmentId;
    this.nextNamespaceId = parts.nextNamespaceId;
    this.sealer = new RecordSealer(parts.header.storeId, tuning.random, tuning.paddingBytes);
    this.faults = new FaultRecord(tuning.observer);
    this.commit = new GroupCommit(this);
  }

  get storeId(): Uint8Array {
    return this.header.storeId;
  }

  get segmentBytes(): number {
    return this.tuning.segmentBytes;
  }

  get roomBytes(): number {
    return this.tuning.roomBytes;
  }

  get active(): Segment {
    const active = this.segments.at(-1);
    if (active === undefined) throw new ProblemError('STORE_CLOSED', 'the store has no open segment');
    return active;
  }

  get namespaceKeys(): NamespaceKeys {
    if (this.#namespaceKeys === undefined) throw new ProblemError('STORE_CLOSED', 'the store is not open');
    return this.#namespaceKeys;
  }

  set namespaceKeys(keys: NamespaceKeys) {
    this.#namespaceKeys = keys;
  }

  async closeKeysFile(): Promise<void> {
    await this.#namespaceKeys?.close();
    this.#namespaceKeys = undefined;
  }

  head(): LogHead {
    const { nextOrdinal, digest } = this.active;
    return { generation: this.generation, sequence: nextOrdinal - 1, digest: copyBytes(digest) };
  }

  keysOf(epoch: number): EpochKeys | undefined {
    return epoch === this.keys.epoch ? this.keys : this.oldEpochs.find((keys) => keys.epoch === epoch);
  }

  /** Makes a durable write visible. */
  apply(effect: Effect): void {
    const { namespace, name, group } = effect;
    if (effect.apply !== undefined) {
      effect.apply();
      return;
    }
    if (namespace.pending.get(name) === effect) namespace.pending.delete(name);
    const { segment } = group;
    const old = effect.deletes
      ? namespace.index.delete(name)
      : namespace.index.set(
          name,
          packPlace(segment, group.base + effect.offset),
          packExtent(segment, effect.ordinal, effect.length),
        );
    if (!effect.deletes) segment.liveBytes += effect.length;
    if (old !== undefined) this.forget(old);
  }

  /** A record that the index no longer refers to is dead weight of its segment. */
  forget({ place, extent }: Location): void {
    this.table.segmentAt(place).liveBytes -= lengthOf(extent);
  }

  /** As {@link forget}, for a record of an erased namespace, whose bytes are to go as well. */
  forgetErased(location: Location): void {
    this.forget(location);
    this.table.segmentAt(location.place).erasedBytes += lengthOf(location.extent);
  }

  /**
   * Reads a record and opens its value.
   * @throws EvidenceError STORE_SEGMENT_DAMAGED or ProblemError STORE_READ_FAILED.
   */
  readValue(location: Location): Uint8Array {
    const { segment, offset, length, ordinal } = this.table.unpack(location);
    if (this.#scratch.length < length) this.#scratch = new Uint8Array(length * 2);
    const sealed = this.#scratch.subarray(0, length);
    try {
      segment.handle.readSync(sealed, offset);
    } catch (error) {
      const failure = readFailure(error, segmentFileName(segment.id));
      this.faults.readFailed(failure);
      throw failure;
    }
    const position = { segmentId: segment.id, ordinal };
    const value = this.sealer.openValue(sealed, segment.keys.records, position, this.innerKeys);
    if (this.#scratch.length > 1024 * 1024) this.#scratch = new Uint8Array(4096);
    if (value !== undefined) return value;
    throw damagedAt(
      'STORE_RECORD_DAMAGED',
      segmentFileName(segment.id),
      offset,
      'this record was altered while the store was open',
    );
  }

  /** Opens a record that is sealed but not durable yet. */
  readPending({ group, namespace, offset, length, ordinal }: Effect): OpenedRecord {
    const sealed = group.frame.view(offset, length);
    const position = { segmentId: group.segment.id, ordinal };
    const { records } = group.segment.keys;
    const opened = this.sealer.open(sealed, records, position, () => namespace.key);
    if (opened === undefined) throw new Error('a record that was just sealed does not open');
    return opened;
  }

  /** The value that a write admitted now would find; `undefined` where there is none. */
  valueNow(namespace: NamespaceState, name: string): Uint8Array | undefined {
    const pending = namespace.pending.get(name);
    if (pending !== undefined) return pending.deletes ? undefined : this.readPending(pending).value;
    const location = namespace.index.find(name);
    return location === undefined ? undefined : this.readValue(location);
  }

  /** Whether a write admitted now would find a value. */
  hasNow(namespace: NamespaceState, name: string): boolean {
    const pending = namespace.pending.get(name);
    return pending === undefined ? namespace.index.find(name) !== undefined : !pending.deletes;
  }

  /** Keeps the files of all present segments until released. */
  pin(): () => void {
    const pinned = [...this.table.all()];
    for (const segment of pinned) segment.readers += 1;
    return () => {
      for (const segment of pinned.splice(0)) {
        segment.readers -= 1;
        if (segment.obsolete && segment.readers === 0) this.dropLater(segment);
      }
    };
  }

  /** Removes an obsolete segment's file; failing leaves an orphan, which the next opening removes. */
  dropLater(segment: Segment): void {
    if (this.closed) return;
    const drop = this.dropSegment(segment).catch(() => undefined);
    this.drops = this.drops.then(() => drop);
  }

  /** Own keys of erasable namespaces. */
  readonly innerKeys = (namespace: number) => this.namespaces.byId(namespace)?.key;

  /** The manifest as of now. Only while no write is under way. */
  manifest(segments: readonly Segment[] = this.segments): Manifest {
    return {
      generation: this.generation,
      nextSegmentId: this.nextSegmentId,
      nextNamespaceId: this.nextNamespaceId,
      keysFile: this.namespaceKeys.number,
      epoch: this.keys.epoch,
      oldEpochs: this.oldEpochs.map(({ epoch, recordsKey, chainKey }) => ({
        epoch,
        recordsKey: recordsKey.reveal(),
        chainKey: chainKey.reveal(),
      })),
      segments: segments.map((segment) => ({ ...segment, epoch: segment.keys.epoch })),
    };
  }

  /**
   * Puts a new manifest in place. When the disk is full nothing has changed; any failure from the rename on leaves
   * unknown which manifest a restart would find.
   * @throws ProblemError STORE_DISK_FULL, STORE_DISK_READ_ONLY or STORE_WRITE_FAILED.
   */
  async saveManifest(manifest: Manifest): Promise<void> {
    const sealed = sealManifest(this.header, manifest, this.storeKey, this.tuning.random);
    const path = inFolder(this.folder, MANIFEST_FILE);
    const { fileSystem } = this;
    await prepareFile(fileSystem, path, sealed).catch((error: unknown) => {
      throw writeFailure(error, MANIFEST_FILE);
    });
    await putInPlace(fileSystem, path).catch((error: unknown) => {
      throw new ProblemError('STORE_WRITE_FAILED', 'the manifest may or may not have been replaced', {
        observed: systemCode(error) ?? 'unknown error',
        hint: 'what was acknowledged is safe; check the disk and restart the machine before you open it again',
        cause: error,
      });
    });
  }

  /** Makes the file of a new segment with its header, durably, but does not list it yet. */
  async newSegmentFile(
    fields: Pick<SegmentHeader, 'kind' | 'firstOrdinal' | 'previous'>,
    keys: EpochKeys = this.keys,
  ): Promise<Segment> {
    const id = this.nextSegmentId;
    this.nextSegmentId += 1;
    const path = inFolder(this.folder, segmentFileName(id));
    const salt = this.tuning.random(16);
    const header = { ...fields, id, salt, epoch: keys.epoch, storeId: this.storeId };
    const bytes = encodeSegmentHeader(header, keys.chainKey.reveal());
    // A crash or a full disk may have left a file that no manifest ever listed.
    await removeFile(this.fileSystem, path);
    const handle = await this.fileSystem.open(path, 'create');
    try {
      await handle.write([bytes], 0);
      await handle.sync();
      await this.fileSystem.syncDirectory(this.folder);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return this.addSegment(header, path, handle, bytes.subarray(96), keys);
  }

  /** Enters an open segment into the table. */
  addSegment(
    header: Pick<SegmentHeader, 'kind' | 'firstOrdinal' | 'previous' | 'id'>,
    path: string,
    handle: FileHandle,
    headerMac: Uint8Array,
    keys: EpochKeys,
  ): Segment {
    return this.table.add((slot) => ({
      id: header.id,
      kind: header.kind,
      path,
      handle,
      keys,
      headerMac,
      firstOrdinal: header.firstOrdinal,
      slot,
      length: SEGMENT_HEADER_BYTES,
      room: 0,
      takesRoom: true,
      nextOrdinal: header.firstOrdinal,
      digest: header.previous,
      cleanAsOf: 0,
      liveBytes: 0,
      erasedBytes: 0,
      keptBytes: 0,
      readers: 0,
      obsolete: false,
    }));
  }

  /** Closes a segment that nobody lists, and removes its file. */
  async dropSegment(segment: Segment): Promise<void> {
    this.table.remove(segment);
    await segment.handle.close();
    await removeFile(this.fileSystem, segment.path);
  }

  /** Finishes the active segment and begins a new one. Only while no write is under way. */
  async roll(): Promise<void> {
    const { active } = this;
    // A finished segment is as long as the manifest says.
    if (active.room > 0) await cutTail(active);
    const { nextOrdinal, digest } = active;
    const fresh = await this.newSegmentFile({ kind: 'log', firstOrdinal: nextOrdinal, previous: digest });
    const segments = [...this.segments, fresh];
    try {
      await this.saveManifest(this.manifest(segments));
    } catch (error) {
      // After a failed rename the manifest on the disk may list it, and then it must be there.
      if (!(error instanceof ProblemError) || error.code !== 'STORE_WRITE_FAILED')
        await this.dropSegment(fresh).catch(() => undefined);
      throw error;
    }
    this.segments = segments;
    this.onRoll();
  }
}
