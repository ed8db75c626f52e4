import type { NodeFolder } from '../boot/node/node-folder.ts';
import type { FolderLock } from '../disk/file-system.ts';
import type { Clock } from '../time/clock.ts';
import { orAborted } from '../time/or-aborted.ts';

/** Between two attempts to get a folder that another process holds, in milliseconds. */
const RETRY_MS = 1_000;

/**
 * The lock on a node's data folder. A process takes it before it reads anything there and keeps it until it ends, also
 * while the node is locked: so no command changes the folder of a node that runs.
 */
export class FolderHold {
  readonly #folder: NodeFolder;
  #lock: FolderLock | undefined;
  #isHeld = false;

  constructor(folder: NodeFolder) {
    this.#folder = folder;
  }

  /**
   * Takes the folder, which is made if it is missing.
   * @throws RefusalError NODE_RUNNING when another process has it; ProblemError CONFIG_INVALID, and those of the disk.
   */
  async take(): Promise<void> {
    if (this.#isHeld) return;
    this.#lock = await this.#folder.lock();
    this.#isHeld = true;
  }

  /**
   * Tries until the folder is free, as while another instance of the node is being stopped.
   * @param onRefused is told why an attempt failed.
   * @returns false when the signal aborted before.
   */
  async takePatiently(
    clock: Clock,
    signal: AbortSignal,
    onRefused: (error: unknown) => void,
  ): Promise<boolean> {
    while (!signal.aborted) {
      try {
        await orAborted(this.take(), signal, () => void this.release());
        return true;
      } catch (error) {
        if (signal.aborted) break;
        onRefused(error);
        await clock.sleep(RETRY_MS, signal);
      }
    }
    return false;
  }

  /** Gives the folder back; harmless when it is not held. */
  async release(): Promise<void> {
    const lock = this.#lock;
    this.#lock = undefined;
    this.#isHeld = false;
    await lock?.release();
  }
}
