import { copyBytes } from '../bytes/copy-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { type RandomSource, systemRandom } from '../crypto/random.ts';
import type { FileSystem } from '../disk/file-system.ts';
import { nodeFileSystem } from '../disk/node-file-system.ts';
import { writeBackup } from './backup/backup.ts';
import type { BackupPart, BackupReport, BackupSink } from './api/backup-api.ts';
import { writeBatch } from './commit/batch.ts';
import { type CheckReport, checkStore } from './open/check.ts';
import { CompactionStopped } from './maintain/compaction.ts';
import { Compactor } from './maintain/compactor.ts';
import { beginLog, freshOrigin, layOut, takeLock } from './open/creation.ts';
import { storeClosed, writeFailure } from './files/disk-failure.ts';
import { cutTail } from './log/durable-append.ts';
import type { StoreHealth, StoreObserver } from './api/health.ts';
import { checkName } from './api/limits.ts';
import { eraseNamespace, finishErasures, openNamespace } from './commit/namespace-changes.ts';
import { clearPlace, preparePlace } from './files/place.ts';
import { MIN_PADDING_BYTES } from './log/record.ts';
import {
  type Access,
  closeFiles,
  mend,
  type OpeningReport,
  type RecoverySource,
  readStore,
} from './open/recovery.ts';
import { planRepair, type RepairPlan } from './maintain/repair.ts';
import { type Restoration, restoreBackup } from './backup/restore.ts';
import { rotateStoreKey } from './maintain/rotation.ts';
import { SealedNamespace } from './sealed-namespace.ts';
import { MAX_ROOM_BYTES, SEGMENT_HEADER_BYTES } from './log/segment.ts';
import { SealedSnapshot, sortedNames } from './snapshot.ts';
import type { BatchOperation, Namespace, Store } from './api/store-api.ts';
import type { LogHead } from './api/log-head.ts';
import { readStoreHeader } from './keys/store-header.ts';
import type { StoreState, StoreTuning } from './store-state.ts';

/** Options that creating and opening share. */
export interface StoreOptions {
  /** Production default: the operating system's. */
  readonly fileSystem?: FileSystem;
  /** Folder of the store, absolute. */
  readonly path: string;
  /** 32 bytes; the store keeps a copy of its own until it is closed. */
  readonly storeKey: SecretBytes;
  readonly random?: RandomSource;
  /** Length of a log segment after which a new one is begun, in bytes; 64 MiB by default, at most 1 GiB. */
  readonly segmentBytes?: number;
  /** Plaintexts are padded to multiples of this many bytes (16 by default), which hides their exact lengths. */
  readonly paddingBytes?: number;
  /**
   * Most zeros that are written behind the log, ready for the next records, in bytes; 64 KiB by default, 0 for none.
   * They make single writes quicker and are cut off when the segment is finished or the store is closed.
   */
  readonly roomBytes?: number;
  /** `automatic` (the default) compacts in the background; `manual` only by {@link SealedStore.compact}. */
  readonly compaction?: 'automatic' | 'manual';
  /** Is told when writing or compacting fails, and when it works again. */
  readonly observer?: StoreObserver;
}

/** Options of a new store. */
export interface CreateOptions extends StoreOptions {
  /** 16 bytes; random by default. */
  readonly storeId?: Uint8Array;
  /** Up to 1024 bytes that lie in the header in the clear and help to get the store key; see `store-header.ts`. */
  readonly unlock?: Uint8Array;
}

/** Options of opening. */
export interface OpenOptions extends StoreOptions {
  /** A head that was deposited elsewhere; the store must contain it. */
  readonly expectedHead?: LogHead;
  /**
   * Opens although {@link expectedHead} is not in the log: after a human decided to go on from a restored backup.
   * The generation grows beyond it. Whoever sets this writes an audit record.
   */
  readonly acceptOlderHead?: boolean;
}

/** Options of restoring a backup; `storeKey` is the store key at the time of the backup. */
export type RestoreOptions = StoreOptions & Omit<Restoration, 'tuning'>;

/** Numbers about an open store. */
export interface StoreStat {
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  readonly head: LogHead;
  readonly namespaces: number;
  readonly records: number;
  readonly segments: number;
  /** Bytes of all segment files. */
  readonly diskBytes: number;
  /** Bytes of sealed records that are still referred to. */
  readonly liveBytes: number;
}

/** The sealed store on a disk that nobody trusts; see docs/store-format.md. */
export class SealedStore implements Store, AsyncDisposable {
  readonly #state: StoreState;
  /** What opening found; all zero and empty for a new store. */
  readonly opening: OpeningReport;
  readonly #compactor: Compactor;
  #closing: Promise<void> | undefined;

  private constructor(state: StoreState, opening: OpeningReport, { compaction }: StoreOptions) {
    this.#state = state;
    this.opening = opening;
    this.#compactor = new Compactor(state);
    if (compaction === 'manual') return;
    state.onRoll = () => this.#compactor.wake();
    state.onErased = () => this.#compactor.sweepSoon();
    this.#compactor.wake();
  }

  /**
   * Makes an empty store in a new or empty folder and opens it.
   * @throws EvidenceError STORE_EXISTS, STORE_PLACE_NOT_EMPTY or STORE_PLACE_NOT_A_FOLDER; ProblemError STORE_LOCKED
   *   and those of writing.
   */
  static async create(options: CreateOptions): Promise<SealedStore> {
    const { fileSystem = nodeFileSystem, path, storeKey, storeId, unlock } = options;
    const creation = {
      ...{ fileSystem, path, storeKey, storeId, unlock },
      tuning: tuningOf(options),
      origin: freshOrigin(),
    };
    await preparePlace(fileSystem, path);
    const lock = await takeLock(fileSystem, path);
    let state: StoreState | undefined;
    try {
      await clearPlace(fileSystem, path);
      state = await layOut(creation, lock);
      await beginLog(state, creation.origin);
      return new SealedStore(state, { tornBytes: 0, removedFiles: [], destroyedKeys: 0 }, options);
    } catch (error) {
      if (state !== undefined) await closeFiles(state);
      await lock?.release();
      throw error instanceof RangeError ? error : writeFailure(error, path);
    }
  }

  /**
   * Opens a store: verifies everything, and only then repairs a torn tail. When it refuses, nothing was changed.
   * @throws EvidenceError with the code and place of what is wrong; ProblemError STORE_LOCKED and those of the disk.
   */
  static async open(options: OpenOptions): Promise<SealedStore> {
    const source = sourceOf(options, 'read-write');
    const { fileSystem, path } = source;
    const overridden = options.acceptOlderHead ? options.expectedHead : undefined;
    // Says what is wrong with the place before the lock would.
    await readStoreHeader(fileSystem, path);
    const lock = await takeLock(fileSystem, path);
    try {
      const recovered = await readStore(source, lock);
      return new SealedStore(recovered.state, await mend(recovered, overridden), options);
    } catch (error) {
      await lock?.release();
      throw error;
    }
  }

  /** Verifies a store that nobody has open, and opens every record, without changing anything. */
  static async check(options: OpenOptions): Promise<CheckReport> {
    const source = sourceOf(options, 'read');
    await readStoreHeader(source.fileSystem, source.path);
    const lock = await takeLock(source.fileSystem, source.path);
    try {
      return await checkStore(source);
    } finally {
      await lock?.release();
    }
  }

  /** Looks at what a lossy repair would keep and lose; changes nothing until the plan is applied. */
  static async planRepair(options: OpenOptions): Promise<RepairPlan> {
    const source = sourceOf(options, 'read');
    await readStoreHeader(source.fileSystem, source.path);
    const lock = await takeLock(source.fileSystem, source.path);
    try {
      return await planRepair(source, lock);
    } catch (error) {
      await lock?.release();
      throw error;
    }
  }

  /** 16 bytes, which `readStoreHeader` gives without the key. */
  get storeId(): Uint8Array {
    return copyBytes(this.#state.storeId);
  }

  async namespace(name: string, options: { readonly erasable?: boolean } = {}): Promise<Namespace> {
    checkName(name);
    const state = this.#open();
    return new SealedNamespace(state, await openNamespace(state, name, options.erasable ?? false));
  }

  namespaces(): readonly string[] {
    return sortedNames(this.#open().namespaces.names());
  }

  hasNamespace(name: string): boolean {
    return this.#open().namespaces.get(name) !== undefined;
  }

  async eraseNamespace(name: string): Promise<boolean> {
    checkName(name);
    return eraseNamespace(this.#open(), name);
  }

  async batch(operations: readonly BatchOperation[]): Promise<void> {
    await writeBatch(this.#open(), operations);
  }

  snapshot(): SealedSnapshot {
    return new SealedSnapshot(this.#open());
  }

  head(): LogHead {
    return this.#open().head();
  }

  /**
   * Rewrites the whole log: afterwards nothing that was overwritten, deleted or erased is in its files, and nothing
   * is sealed under an old key. Reads and writes go on meanwhile.
   */
  async compact(): Promise<void> {
    this.#open();
    await this.#compactor.compactAll().catch((error: unknown) => {
      throw error instanceof CompactionStopped ? storeClosed() : writeFailure(error, 'a compacted segment');
    });
  }

  /**
   * Changes the store key (32 bytes). When it resolves, only the new one opens the store; what was written before is
   * sealed anew in the background, which {@link settled} awaits, and then the old keys are gone from the disk.
   * @param unlock replaces the header's unlock field, where the new key needs another one.
   */
  async rotateStoreKey(newKey: SecretBytes, unlock?: Uint8Array): Promise<void> {
    await rotateStoreKey(this.#open(), newKey, unlock);
    this.#compactor.wake();
  }

  /**
   * Writes everything as of now into one sealed, portable file, while reads and writes go on. It opens with the
   * present store key; a `part` opens with its own.
   */
  async backup(sink: BackupSink, part?: BackupPart): Promise<BackupReport> {
    const snapshot = this.snapshot();
    try {
      return await writeBackup(this.#open(), snapshot, sink, part);
    } finally {
      snapshot.release();
    }
  }

  /**
   * Makes a store out of a backup in an empty place; open it afterwards. Everything is verified before there is a
   * store. A head that was deposited after the backup refuses it as rolled back, until a human overrides that.
   */
  static restore(options: RestoreOptions): Promise<BackupReport> {
    return restoreBackup({ ...options, tuning: tuningOf(options) });
  }

  /** Resolves when no background work is under way. */
  async settled(): Promise<void> {
    await this.#compactor.settled();
    await this.#state.drops;
  }

  stat(): StoreStat {
    const state = this.#open();
    const spaces = [...state.namespaces.all()];
    return {
      storeId: this.storeId,
      head: state.head(),
      namespaces: spaces.length,
      records: spaces.reduce((sum, { index }) => sum + index.size, 0),
      segments: state.segments.length,
      diskBytes: state.segments.reduce((sum, { length, room }) => sum + length + room, 0),
      liveBytes: state.segments.reduce((sum, { liveBytes }) => sum + liveBytes, 0),
    };
  }

  async health(): Promise<StoreHealth> {
    const state = this.#open();
    const { write: writeFault, lastDisk, compaction } = state.faults;
    const { diskBytes, liveBytes } = this.stat();
    return {
      diskBytes,
      liveBytes,
      freeBytes: await state.fileSystem.freeBytes?.(state.folder).catch(() => undefined),
      writeFault,
      isDiskFull: writeFault?.error.code === 'STORE_DISK_FULL',
      takesWrites: state.commit.failure === undefined,
      lastDiskFault: lastDisk,
      compactionFault: compaction,
    };
  }

  /**
   * Waits for all writes, notes the end of the log in the manifest (so that cutting it off later is noticed), closes
   * the files, wipes the keys and gives back the lock. Closing twice is harmless.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const state = this.#state;
    await this.#compactor.stop();
    await state.commit.close();
    try {
      // A disk that fails now costs only that note; keys that are still to be destroyed, the next opening destroys.
      if (state.commit.failure === undefined) {
        await finishErasures(state).catch(() => undefined);
        if (state.active.room > 0) await cutTail(state.active).catch(() => undefined);
        await state.saveManifest(state.manifest()).catch(() => undefined);
      }
      await state.drops;
    } finally {
      await closeFiles(state);
      await state.lock?.release();
    }
  }

  #open(): StoreState {
    if (this.#closing !== undefined) throw storeClosed();
    return this.#state;
  }
}

const DEFAULT_ROOM_BYTES = 64 * 1024;
const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024;

function sourceOf(options: OpenOptions, access: Access): RecoverySource {
  const { fileSystem = nodeFileSystem, path, storeKey, expectedHead, acceptOlderHead = false } = options;
  const head = acceptOlderHead ? undefined : expectedHead;
  return { fileSystem, path, storeKey, expectedHead: head, tuning: tuningOf(options), access };
}

function tuningOf({
  random = systemRandom,
  observer,
  segmentBytes,
  paddingBytes,
  roomBytes,
}: StoreOptions): StoreTuning {
  const tuning = {
    random,
    observer,
    segmentBytes: segmentBytes ?? DEFAULT_SEGMENT_BYTES,
    paddingBytes: paddingBytes ?? MIN_PADDING_BYTES,
    roomBytes: roomBytes ?? DEFAULT_ROOM_BYTES,
  };
  if (!(tuning.segmentBytes > SEGMENT_HEADER_BYTES && tuning.segmentBytes <= MAX_SEGMENT_BYTES))
    throw new RangeError(
      `segmentBytes must be over ${SEGMENT_HEADER_BYTES} and at most ${MAX_SEGMENT_BYTES}`,
    );
  if (
    tuning.paddingBytes % MIN_PADDING_BYTES !== 0 ||
    tuning.paddingBytes < 1 ||
    tuning.paddingBytes > 65_536
  )
    throw new RangeError(`paddingBytes must be a multiple of ${MIN_PADDING_BYTES} up to 65536`);
  if (!(Number.isInteger(tuning.roomBytes) && tuning.roomBytes >= 0 && tuning.roomBytes <= MAX_ROOM_BYTES))
    throw new RangeError(`roomBytes must be a whole number up to ${MAX_ROOM_BYTES}`);
  return tuning;
}
