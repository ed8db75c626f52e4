import type { FileHandle, FileSystem } from '../../../src/disk/file-system.ts';
import type { Dice } from '../../support/disk-dice.ts';
import type { VirtualScheduler } from '../../support/virtual-scheduler.ts';

/** Slowest disk operation, in virtual milliseconds. */
const SLOWEST_DISK_MS = 3;

/** A promise that nothing settles: what a killed process waits for. */
const never = <T>(): Promise<T> => new Promise(() => undefined);

/**
 * One life of a node. Everything that takes time goes through {@link sleep}, and from {@link kill} on nothing ever
 * comes back from it: the code stops in the middle of whatever it was doing, as a killed process does.
 */
export class SimulatedProcess {
  readonly #clock: VirtualScheduler;
  readonly #dice: Dice;
  #alive = true;

  constructor(clock: VirtualScheduler, dice: Dice) {
    this.#clock = clock;
    this.#dice = dice;
  }

  get alive(): boolean {
    return this.#alive;
  }

  kill(): void {
    this.#alive = false;
  }

  async sleep(ms: number): Promise<void> {
    await this.#clock.sleep(ms);
    if (!this.#alive) return never();
  }

  /** The disk, as slow as disks are, so that a kill falls between any two of its operations. */
  slowDisk(disk: FileSystem): FileSystem {
    const slowly = async <T>(operation: () => Promise<T>): Promise<T> => {
      await this.sleep(this.#dice.next() * SLOWEST_DISK_MS);
      const result = await operation();
      return this.#alive ? result : never<T>();
    };
    return {
      open: async (path, mode) => slowHandle(await slowly(() => disk.open(path, mode)), slowly),
      rename: (from, to) => slowly(() => disk.rename(from, to)),
      unlink: (path) => slowly(() => disk.unlink(path)),
      mkdir: (path) => slowly(() => disk.mkdir(path)),
      rmdir: (path) => slowly(() => disk.rmdir(path)),
      list: (path) => slowly(() => disk.list(path)),
      stat: (path) => slowly(() => disk.stat(path)),
      syncDirectory: (path) => slowly(() => disk.syncDirectory(path)),
    };
  }
}

function slowHandle(handle: FileHandle, slowly: <T>(operation: () => Promise<T>) => Promise<T>): FileHandle {
  return {
    readSync: (into, position) => handle.readSync(into, position),
    write: (parts, position) => slowly(() => handle.write(parts, position)),
    sync: () => slowly(() => handle.sync()),
    truncate: (length) => slowly(() => handle.truncate(length)),
    size: () => slowly(() => handle.size()),
    close: () => slowly(() => handle.close()),
  };
}
