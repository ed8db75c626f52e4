import { copyBytes } from '../bytes/copy-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { FolderLock } from '../disk/file-system.ts';
import type { BackupPart, BackupReport, BackupSink } from './api/backup-api.ts';
import type { StoreHealth } from './api/health.ts';
import { checkName, requireBoolean } from './api/limits.ts';
import type { LogHead } from './api/log-head.ts';
import type { BatchOperation, Namespace, Store } from './api/store-api.ts';
import { writeBackup } from './backup/backup.ts';
import { restoreBackup } from './backup/restore.ts';
import { batchWrite, requireNoConflict } from './commit/batch.ts';
import { eraseNamespace, finishErasures, openNamespace } from './commit/namespace-changes.ts';
import { storeClosed, writeFailure } from './files/disk-failure.ts';
import { clearFolder, prepareFolder } from './files/place.ts';
import { readStoreHeader } from './keys/store-header.ts';
import { withOwnKey } from './keys/store-keys.ts';
import { cutTail } from './log/durable-append.ts';
import { isCheckpointDueAtClose, writeCheckpoint } from './maintain/checkpoint-writer.ts';
import { CompactionStopped } from './maintain/compaction.ts';
import { Compactor } from './maintain/compactor.ts';
import { planRepair, type RepairPlan } from './maintain/repair.ts';
import { rotateStoreKey } from './maintain/rotation.ts';
import { admit } from './open/admit.ts';
import { type CheckReport, checkStore } from './open/check.ts';
import { beginLog, layOut, takeLock } from './open/creation.ts';
import { mend, type OpeningReport } from './open/mend.ts';
import type { Access } from './open/open-files.ts';
import { type RecoverySource, readStore } from './open/recovery.ts';
import { SealedNamespace } from './sealed-namespace.ts';
import { SealedSnapshot } from './snapshot.ts';
import {
  type CreateOptions,
  creationOf,
  type OpenOptions,
  type RestoreOptions,
  type StoreOptions,
  sourceOf,
  tuningOf,
} from './store-options.ts';
import type { StoreState } from './store-state.ts';

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

/** The sealed store on an untrusted disk; see docs/store-format.md. */
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
    const wake = () => this.#compactor.wake();
    state.events = { onRoll: wake, onErased: () => this.#compactor.sweepSoon(), onDrop: wake };
    wake();
  }

  /**
   * Makes an empty store in a new or empty folder and opens it.
   * @throws EvidenceError STORE_EXISTS, STORE_PLACE_NOT_EMPTY or STORE_PLACE_NOT_A_FOLDER; ProblemError STORE_LOCKED
   *   and those of writing.
   */
  static async create(options: CreateOptions): Promise<SealedStore> {
    const creation = creationOf(options);
    return withOwnKey(options.storeKey, async (storeKey) => {
      const { fileSystem, path } = creation;
      await prepareFolder(fileSystem, path);
      const lock = await takeLock(fileSystem, path);
      let state: StoreState | undefined;
      try {
        await clearFolder(fileSystem, path);
        state = await layOut({ ...creation, storeKey }, lock);
        await beginLog(state, creation.origin);
        return new SealedStore(
          state,
          { tornBytes: 0, removedFiles: [], destroyedKeys: 0, checkpoint: 'none' },
          options,
        );
      } catch (error) {
        await state?.close().catch(() => undefined);
        await lock?.release();
        throw isMisuse(error) ? error : writeFailure(error, path);
      }
    });
  }

  /**
   * Opens a store: verifies everything, lets the caller judge it, and only then repairs a torn tail. When it refuses,
   * nothing was changed.
   * @throws EvidenceError with the code and place of what is wrong; ProblemError STORE_LOCKED and those of the disk;
   *   the error of `admit.judge`, as it is; RangeError, TypeError for impossible options.
   */
  static async open(options: OpenOptions): Promise<SealedStore> {
    return withLocked(options, 'read-write', async (source, lock) => {
      const recovered = await readStore(source, lock);
      if (source.admit !== undefined) await admit(recovered, source.admit);
      const report = await mend(recovered);
      if (report.checkpoint === 'unusable') recovered.state.faults.checkpointIgnored();
      return new SealedStore(recovered.state, report, options);
    });
  }

  /** Verifies a store that no process has open, and opens every record, without changing anything. */
  static async check(options: StoreOptions): Promise<CheckReport> {
    return withLocked(options, 'read', async (source, lock) => {
      const report = await checkStore(source);
      await lock?.release();
      return report;
    });
  }

  /** Looks at what a lossy repair would keep and lose; changes nothing until the plan is applied. */
  static async planRepair(options: StoreOptions): Promise<RepairPlan> {
    return withLocked(options, 'read', planRepair);
  }

  /** 16 bytes, which `readStoreHeader` gives without the key. */
  get storeId(): Uint8Array {
    return copyBytes(this.#state.storeId);
  }

  async namespace(name: string, options: { readonly erasable?: boolean } = {}): Promise<Namespace> {
    checkName(name);
    requireBoolean(options.erasable, 'erasable');
    const state = this.#open();
    return new SealedNamespace(state, await openNamespace(state, name, options.erasable ?? false));
  }

  namespaces(): readonly string[] {
    return this.#open().namespaces.names();
  }

  hasNamespace(name: string): boolean {
    return this.#open().namespaces.get(name) !== undefined;
  }

  async eraseNamespace(name: string): Promise<boolean> {
    checkName(name);
    return eraseNamespace(this.#open(), name);
  }

  async batch(operations: readonly BatchOperation[]): Promise<void> {
    const { commit, namespaces, tuning } = this.#open();
    requireNoConflict(await commit.submit(batchWrite(operations, namespaces, tuning.paddingBytes)));
  }

  snapshot(): SealedSnapshot {
    return new SealedSnapshot(this.#open());
  }

  head(): LogHead {
    return this.#open().head();
  }

  /**
   * Rewrites the whole log: afterwards nothing that was overwritten, deleted or erased is in its files, and nothing
   * is sealed under an old key. Reads and writes go on during the work.
   */
  async compact(): Promise<void> {
    this.#open();
    await this.#compactor.compactAll().catch((error: unknown) => {
      throw error instanceof CompactionStopped ? storeClosed() : writeFailure(error, 'a compacted segment');
    });
  }

  /**
   * Changes the store key (32 bytes). When it resolves, only the new one opens the store; what was written before is
   * sealed again in the background, which {@link settled} awaits, and then the old keys are gone from the disk.
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
    // The removal of a file may be what the dropping of old keys waits for.
    await this.#state.log.drops;
    await this.#compactor.settled();
    await this.#state.log.drops;
  }

  stat(): StoreStat {
    const state = this.#open();
    const spaces = [...state.namespaces.all()];
    const { segments } = state.log;
    return {
      storeId: this.storeId,
      head: state.head(),
      namespaces: spaces.length,
      records: spaces.reduce((sum, { index }) => sum + index.size, 0),
      segments: segments.length,
      diskBytes: segments.reduce((sum, { length, room }) => sum + length + room, 0),
      liveBytes: segments.reduce((sum, { liveBytes }) => sum + liveBytes, 0),
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
   * @throws ProblemError STORE_WRITE_FAILED when a file could not be closed; everything else is done before.
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
        await this.#noteEnd().catch(() => undefined);
      }
      await state.log.drops;
    } finally {
      await state.close().finally(() => state.lock?.release());
    }
  }

  /** Notes the end of the log, and the index where that is worth it: without it the next opening replays. */
  async #noteEnd(): Promise<void> {
    const state = this.#state;
    // First: whoever waits for this process to end may lose patience before a large index is written.
    await state.saveManifest(state.manifest());
    if (!isCheckpointDueAtClose(state)) return;
    const fresh = await writeCheckpoint(state).catch(() => undefined);
    if (fresh !== undefined) await state.listCheckpoint(fresh);
  }

  #open(): StoreState {
    if (this.#closing !== undefined) throw storeClosed();
    return this.#state;
  }
}

/**
 * Runs something on a store that this process has locked; the lock is given back when it fails. The key is copied at
 * once, as the caller may wipe it at any time.
 */
async function withLocked<T>(
  options: OpenOptions,
  access: Access,
  use: (source: RecoverySource, lock: FolderLock | undefined) => Promise<T>,
): Promise<T> {
  const source = sourceOf(options, access);
  return withOwnKey(options.storeKey, async (storeKey) => {
    const { fileSystem, path } = source;
    // Says what is wrong with the place before the lock would.
    await readStoreHeader(fileSystem, path);
    const lock = await takeLock(fileSystem, path);
    try {
      return await use({ ...source, storeKey }, lock);
    } catch (error) {
      // The first error is the one that counts: a judge's must come out as it is.
      await lock?.release().catch(() => undefined);
      throw error;
    }
  });
}

/** Whether an error is misuse by the caller; misuse must not be reported as a failing disk. */
const isMisuse = (error: unknown): boolean => error instanceof RangeError || error instanceof TypeError;
