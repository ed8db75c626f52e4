import { copyBytes } from '../bytes/copy-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { systemRandom } from '../crypto/random.ts';
import type { FileSystem } from '../disk/file-system.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { BackupReport, BackupSink } from './api/backup-api.ts';
import type { LogHead } from './api/log-head.ts';
import type { ReadableNamespace } from './api/store-api.ts';
import { writeBackup } from './backup/backup.ts';
import { MIN_PADDING_BYTES } from './log/record.ts';
import { type ReadLog, type RecoverySource, readStore } from './open/recovery.ts';
import { SealedSnapshot } from './snapshot.ts';

/** Errors that a concurrent writer can cause in a reader; a second read shows whether they are real. */
const passing: ReadonlySet<string> = new Set([
  'STORE_SEGMENT_MISSING',
  'STORE_SEGMENT_DAMAGED',
  'STORE_NAMESPACE_KEY_DAMAGED',
]);
const ATTEMPTS = 4;

/**
 * A store as it was at one moment, read and verified without the lock and without changing anything, also while
 * another process has it open. What that process writes later is not seen; what it compacts away stays readable here as
 * long as the files stay open, which half of the process's limit of open files bounds.
 */
export class ReadOnlyStore {
  readonly #recovered: ReadLog;
  readonly #snapshot: SealedSnapshot;

  private constructor(recovered: ReadLog) {
    this.#recovered = recovered;
    this.#snapshot = new SealedSnapshot(recovered.state);
  }

  /** @throws what `SealedStore.open` throws, except STORE_LOCKED. */
  static async open(fileSystem: FileSystem, path: string, storeKey: SecretBytes): Promise<ReadOnlyStore> {
    const tuning = {
      random: systemRandom,
      segmentBytes: 2 ** 30,
      paddingBytes: MIN_PADDING_BYTES,
      roomBytes: 0,
      checkpointBytes: Number.POSITIVE_INFINITY,
    };
    const access = 'read';
    const source: RecoverySource = { fileSystem, path, storeKey, admit: undefined, tuning, access };
    for (let attempt = 1; ; attempt++) {
      try {
        return new ReadOnlyStore(await readStore(source, undefined));
      } catch (error) {
        const mayPass = error instanceof LatchkeyError && passing.has(error.code);
        if (!mayPass || attempt === ATTEMPTS) throw error;
      }
    }
  }

  /** Names of the namespaces, in order. */
  namespaces(): readonly string[] {
    return this.#snapshot.namespaces();
  }

  /** `undefined` where there is none of this name. */
  namespace(name: string): ReadableNamespace | undefined {
    return this.#snapshot.hasNamespace(name) ? this.#snapshot.namespace(name) : undefined;
  }

  /** Whether a namespace can be erased. @throws EvidenceError STORE_NAMESPACE_MISSING. */
  isErasable(name: string): boolean {
    return this.#snapshot.isErasable(name);
  }

  /** Position in the log. */
  get head(): LogHead {
    return this.#snapshot.head;
  }

  /** 16 bytes. */
  get storeId(): Uint8Array {
    return copyBytes(this.#recovered.state.storeId);
  }

  /** Number of log files. */
  get segments(): number {
    return this.#recovered.state.log.segments.length;
  }

  /** Bytes of all log files, and of the records in them that still count. */
  get bytes(): { readonly disk: number; readonly live: number } {
    const { segments } = this.#recovered.state.log;
    return {
      disk: segments.reduce((sum, { length, room }) => sum + length + room, 0),
      live: segments.reduce((sum, { liveBytes }) => sum + liveBytes, 0),
    };
  }

  /** Writes everything into one sealed, portable file. */
  backup(sink: BackupSink): Promise<BackupReport> {
    return writeBackup(this.#recovered.state, this.#snapshot, sink);
  }

  /** Closes the files and wipes the keys. */
  async close(): Promise<void> {
    this.#snapshot.release();
    await this.#recovered.state.close();
  }
}
