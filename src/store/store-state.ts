import { copyBytes } from '../bytes/copy-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { RandomSource } from '../crypto/random.ts';
import type { FileSystem, FolderLock } from '../disk/file-system.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { StoreObserver } from './api/health.ts';
import type { LogHead } from './api/log-head.ts';
import { GroupCommit } from './commit/group-commit.ts';
import { FaultRecord } from './fault-record.ts';
import { closeFailure, storeClosed, writeFailure } from './files/disk-failure.ts';
import { inFolder, prepareFile, putInPlace, requireInPlace, throwFirst } from './files/files.ts';
import { NamespaceTable } from './index/namespace-table.ts';
import { RecordReader } from './index/record-reader.ts';
import type { NamespaceKeys } from './keys/namespace-keys.ts';
import { MANIFEST_FILE, type StoreHeader } from './keys/store-header.ts';
import type { RecordKeys } from './keys/store-keys.ts';
import { type CheckpointReference, checkpointFileName } from './log/checkpoint-format.ts';
import { cutTail } from './log/durable-append.ts';
import { type Manifest, sealManifest } from './log/manifest.ts';
import { RecordSealer } from './log/record-sealer.ts';
import type { Segment } from './log/segment.ts';
import { SegmentLog } from './log/segment-log.ts';

/** Tuning of a store. */
export interface StoreTuning {
  /** A segment of about this many bytes is finished and a new one begun. */
  readonly segmentBytes: number;
  /** Lengths of plaintexts are rounded up to multiples of this; a multiple of 16. */
  readonly paddingBytes: number;
  /** Most zeros that are written behind the log, ready for frames. */
  readonly roomBytes: number;
  /** See `StoreOptions.checkpointBytes`. */
  readonly checkpointBytes: number;
  readonly random: RandomSource;
  readonly observer?: StoreObserver | undefined;
}

/** The keys that change together with the store key. */
export interface StoreKeys {
  readonly header: StoreHeader;
  /** The store's own copy. */
  readonly storeKey: SecretBytes;
  /** Keys of the records that are written now. */
  readonly current: RecordKeys;
  /** Keys of records that were written before and are not sealed again yet. */
  readonly old: readonly RecordKeys[];
  /** See `LogHead`. */
  readonly generation: number;
  /** The keys file; `undefined` until it is open. */
  readonly namespaceKeys: NamespaceKeys | undefined;
}

/** The parts of a store when it opens. */
export interface StoreParts {
  readonly fileSystem: FileSystem;
  readonly folder: string;
  readonly lock: FolderLock | undefined;
  readonly keys: StoreKeys;
  readonly nextSegmentId: number;
  readonly nextNamespaceId: number;
}

/** A checkpoint on the disk, and what it is about. */
export interface PresentCheckpoint {
  readonly reference: CheckpointReference;
  /** The segments that were listed then; their records are where it says. */
  readonly covers: readonly Segment[];
  /** The store key that it is sealed under. */
  readonly storeKey: SecretBytes;
  /** `SegmentLog.bytesSinceCheckpoint` at its position. */
  readonly bytesBefore: number;
}

/** Callbacks of an open store that start its background work. */
export interface StoreEvents {
  /** A segment was finished. */
  onRoll(): void;
  /** A namespace was erased. */
  onErased(): void;
  /** The file of an obsolete segment was removed: its keys may be needless now. */
  onDrop(): void;
}

const ignore = (): void => undefined;
const noEvents: StoreEvents = { onRoll: ignore, onErased: ignore, onDrop: ignore };

/** The parts of an open store, shared by those that read, write, compact and rotate. */
export class StoreState {
  readonly fileSystem: FileSystem;
  readonly folder: string;
  readonly lock: FolderLock | undefined;
  readonly tuning: StoreTuning;
  readonly sealer: RecordSealer;
  readonly faults: FaultRecord;
  readonly namespaces: NamespaceTable;
  readonly log: SegmentLog;
  readonly reader: RecordReader;
  readonly commit: GroupCommit;
  /** Replaced as a whole. */
  keys: StoreKeys;
  events: StoreEvents = noEvents;
  /** The checkpoint that the manifest lists. */
  checkpoint: PresentCheckpoint | undefined;
  /** Length of the last checkpoint, listed or not, in bytes. */
  lastCheckpointBytes = 0;
  /** Number of the last checkpoint, listed or not. */
  lastCheckpointNumber = 0;
  #isClosed = false;

  constructor(parts: StoreParts, tuning: StoreTuning) {
    const { storeId } = parts.keys.header;
    this.fileSystem = parts.fileSystem;
    this.folder = parts.folder;
    this.lock = parts.lock;
    this.tuning = tuning;
    this.keys = parts.keys;
    this.faults = new FaultRecord(tuning.observer);
    this.sealer = new RecordSealer(storeId, tuning.random, tuning.paddingBytes);
    this.namespaces = new NamespaceTable(parts.nextNamespaceId);
    this.log = new SegmentLog(parts, storeId, parts.nextSegmentId, tuning.random);
    this.log.onDrop = () => this.events.onDrop();
    this.reader = new RecordReader(this.log.table, this.namespaces, this.sealer, this.faults);
    const { sealer, namespaces, log, reader, faults } = this;
    const { segmentBytes, roomBytes } = tuning;
    const own = { storeId, sealer, namespaces, log, reader, faults };
    this.commit = new GroupCommit({ ...own, segmentBytes, roomBytes, roll: () => this.roll() });
  }

  get storeId(): Uint8Array {
    return this.keys.header.storeId;
  }

  /** The segment being written. */
  get active(): Segment {
    const { last } = this.log;
    if (last === undefined) throw storeClosed();
    return last;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get namespaceKeys(): NamespaceKeys {
    const { namespaceKeys } = this.keys;
    if (namespaceKeys === undefined) throw storeClosed();
    return namespaceKeys;
  }

  head(): LogHead {
    const { nextOrdinal, digest } = this.active;
    return { generation: this.keys.generation, sequence: nextOrdinal - 1, digest: copyBytes(digest) };
  }

  /** The record keys of a version that some segment may still need. */
  keysOf(version: number): RecordKeys | undefined {
    const { current, old } = this.keys;
    return [current, ...old].find((keys) => keys.version === version);
  }

  /**
   * The manifest as of now, or with other segments and keys. Only while no write is under way.
   * @throws TypeError when a segment is sealed under keys that are not in `keys`: a restart could not read the segment.
   */
  manifest(
    segments: readonly Segment[] = this.log.segments,
    keys: StoreKeys = this.keys,
    checkpoint: PresentCheckpoint | undefined = this.checkpoint,
  ): Manifest {
    const { generation, current, old, namespaceKeys } = keys;
    if (namespaceKeys === undefined) throw storeClosed();
    const stray = segments.find((segment) => ![current, ...old].includes(segment.keys));
    if (stray !== undefined) throw new TypeError(`the manifest would not have the keys of ${stray.path}`);
    return {
      generation,
      nextSegmentId: this.log.nextId,
      nextNamespaceId: this.namespaces.nextId,
      keysFile: namespaceKeys.number,
      keyVersion: current.version,
      oldKeys: old.map(({ version, recordsKey, chainKey }) => ({
        version,
        recordsKey: recordsKey.reveal(),
        chainKey: chainKey.reveal(),
      })),
      segments: segments.map((segment) => ({ ...segment, keyVersion: segment.keys.version })),
      // Records of a segment that was compacted are elsewhere now; another store key opens no checkpoint.
      checkpoint:
        checkpoint?.storeKey === keys.storeKey && checkpoint.covers.every((one, at) => segments[at] === one)
          ? checkpoint.reference
          : undefined,
    };
  }

  /**
   * Puts a new manifest in place. When it cannot be written nothing has changed; any failure of a sync or from the
   * rename on leaves unknown which manifest a restart would find.
   * @param keys they become {@link keys} by this, once the manifest is durable.
   * @throws ProblemError STORE_DISK_FULL, STORE_DISK_READ_ONLY, STORE_RESOURCES_SHORT or STORE_WRITE_FAILED.
   */
  async saveManifest(manifest: Manifest, keys: StoreKeys = this.keys): Promise<void> {
    const { header, storeKey } = keys;
    const sealed = sealManifest(header, manifest, storeKey, this.tuning.random);
    const path = inFolder(this.folder, MANIFEST_FILE);
    await requireInPlace(this.lock, this.folder);
    try {
      await prepareFile(this.fileSystem, path, sealed);
      await putInPlace(this.fileSystem, path);
    } catch (error) {
      throw writeFailure(error, MANIFEST_FILE);
    }
    this.keys = keys;
    const before = this.checkpoint;
    if (before === undefined || before.reference === manifest.checkpoint) return;
    this.checkpoint = undefined;
    this.log.removeLater(inFolder(this.folder, checkpointFileName(before.reference.number)));
  }

  /**
   * Has the manifest list a checkpoint, unless it became useless since it was written. Only while no write is under way.
   * @throws what {@link saveManifest} throws; then the file goes, unless the manifest may list it.
   */
  async listCheckpoint(fresh: PresentCheckpoint): Promise<void> {
    const manifest = this.manifest(this.log.segments, this.keys, fresh);
    if (manifest.checkpoint === undefined) {
      this.log.removeLater(inFolder(this.folder, checkpointFileName(fresh.reference.number)));
      return;
    }
    try {
      await this.saveManifest(manifest);
    } catch (error) {
      if (!isUnknown(error))
        this.log.removeLater(inFolder(this.folder, checkpointFileName(fresh.reference.number)));
      throw error;
    }
    this.checkpoint = fresh;
    this.lastCheckpointBytes = fresh.reference.bytes;
    this.log.bytesSinceCheckpoint -= fresh.bytesBefore;
  }

  /**
   * Finishes the active segment and begins a new one. Only while no write is under way.
   * @param keys the new segment is sealed under these, and they become {@link keys} once the manifest is durable.
   */
  async roll(keys: StoreKeys = this.keys): Promise<void> {
    const { active, log } = this;
    // A finished segment is as long as the manifest says.
    if (active.room > 0) await cutTail(active);
    const { nextOrdinal, digest } = active;
    const start = { kind: 'log', firstOrdinal: nextOrdinal, previous: digest } as const;
    const fresh = await log.create(start, keys.current);
    const segments = [...log.segments, fresh];
    try {
      await this.saveManifest(this.manifest(segments, keys), keys);
    } catch (error) {
      // After a failed rename the manifest on the disk may list it, and then it must be there.
      if (!isUnknown(error)) await log.discard(fresh).catch(() => undefined);
      throw error;
    }
    log.segments = segments;
    await this.settle(active);
    this.events.onRoll();
  }

  /** Gives back what only writing needs of a finished segment. Its bytes are durable: a failed close is only reported. */
  async settle({ handle }: Segment): Promise<void> {
    await handle.settle?.().catch((error: unknown) => this.#closeFailed(error));
  }

  /** Closes a file of which all that counts is durable: a failed close is only reported. */
  async closeQuietly(file: { close(): Promise<void> } | undefined): Promise<void> {
    await file?.close().catch((error: unknown) => this.#closeFailed(error));
  }

  #closeFailed(error: unknown): void {
    this.faults.closeFailed(closeFailure(error, 'a file of the store'));
  }

  /**
   * Closes all files and wipes all keys; the lock stays.
   * @throws ProblemError STORE_WRITE_FAILED when a file could not be closed, after everything else is done.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    const { current, old, storeKey, namespaceKeys } = this.keys;
    const closings = await Promise.allSettled([this.log.close(), namespaceKeys?.close()]);
    for (const keys of [current, ...old]) keys.wipe();
    for (const { key } of this.namespaces.all()) key?.wipe();
    storeKey.wipe();
    this.keys = { ...this.keys, namespaceKeys: undefined };
    try {
      throwFirst(closings);
    } catch (error) {
      throw closeFailure(error, 'the store');
    }
  }
}

/** True when it is unknown after a failure which manifest is on the disk. */
export const isUnknown = (error: unknown): boolean =>
  error instanceof ProblemError && error.code === 'STORE_WRITE_FAILED';
