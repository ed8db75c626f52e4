import { dirname, join } from 'node:path';
import type { FileSystem, FolderLock } from '../../disk/file-system.ts';
import { ProblemError, RefusalError } from '../../errors/latchkey-error.ts';
import { KeyslotDisk } from '../../keyslots/keyslot-disk.ts';
import type { KeyslotFile } from '../../keyslots/keyslot-file.ts';
import { systemCode } from '../../store/files/disk-failure.ts';

/**
 * Where a node keeps what it has, below its data folder:
 * ```
 * node/            the node, once it exists
 *   store/         the sealed store
 *   keyslots       the keyslot file
 * node.new/        a node, or a store, that is being made; never used before it is renamed into node/
 * ```
 * A `node.new` that a crash left behind has never left this machine: no one knows its account, so it is removed.
 */
export class NodeFolder {
  readonly #fileSystem: FileSystem;
  readonly dataFolder: string;

  constructor(fileSystem: FileSystem, dataFolder: string) {
    this.#fileSystem = fileSystem;
    this.dataFolder = dataFolder;
  }

  get path(): string {
    return join(this.dataFolder, 'node');
  }

  get newPath(): string {
    return join(this.dataFolder, 'node.new');
  }

  static storePath(nodePath: string): string {
    return join(nodePath, 'store');
  }

  static keyslotsPath(nodePath: string): string {
    return join(nodePath, 'keyslots');
  }

  /** What the folder holds: nothing yet, a node with its keyslot file, or a node without one. */
  async look(): Promise<'fresh' | 'enrolled' | 'without-keyslots'> {
    if ((await this.#fileSystem.stat(this.path)) === undefined) return 'fresh';
    const keyslots = await this.#fileSystem.stat(NodeFolder.keyslotsPath(this.path));
    return keyslots === undefined ? 'without-keyslots' : 'enrolled';
  }

  /** The keyslot file. Its MAC is not checked. `undefined` when it cannot be read. */
  async keyslotFile(): Promise<KeyslotFile | undefined> {
    return new KeyslotDisk(this.#fileSystem, NodeFolder.keyslotsPath(this.path))
      .read()
      .catch(() => undefined);
  }

  /**
   * Makes the data folder if it is missing; the folder around it must be there.
   * @throws ProblemError CONFIG_INVALID.
   */
  async makeDataFolder(): Promise<void> {
    if ((await this.#fileSystem.stat(this.dataFolder)) !== undefined) return;
    try {
      await this.#fileSystem.mkdir(this.dataFolder);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ProblemError('CONFIG_INVALID', `node.dataFolder: cannot make ${this.dataFolder}: ${reason}`, {
        field: 'node.dataFolder',
        hint: 'make the folder around it first',
        cause,
      });
    }
  }

  /**
   * Takes the data folder, which is made if it is missing. One process at a time has it, from its start to its end.
   * @returns `undefined` where the file system has no locks.
   * @throws RefusalError NODE_RUNNING, ProblemError CONFIG_INVALID.
   */
  async lock(): Promise<FolderLock | undefined> {
    await this.makeDataFolder();
    const lock = await this.#fileSystem.lock?.(this.dataFolder);
    if (lock === undefined || !('owner' in lock)) return lock;
    throw new RefusalError('NODE_RUNNING', `${lock.owner} works with the node in ${this.dataFolder}`, {
      observed: lock.owner,
      hint: 'stop it first; nothing was changed',
    });
  }

  /** Makes an empty `node.new`, removing what an earlier start left of one. */
  async begin(): Promise<void> {
    await this.makeDataFolder();
    // Also when it was there: an earlier start may have made it and died before this. Else a power cut takes the whole
    // folder away, and the next start becomes another node.
    await this.#fileSystem.syncDirectory(dirname(this.dataFolder));
    await this.#remove(this.newPath);
    await this.#fileSystem.mkdir(this.newPath);
    await this.#fileSystem.syncDirectory(this.dataFolder);
  }

  /** Puts `node.new` into place; after this the node exists. */
  async finish(): Promise<void> {
    await this.#fileSystem.syncDirectory(this.newPath);
    await this.#fileSystem.rename(this.newPath, this.path);
    await this.#fileSystem.syncDirectory(this.dataFolder);
  }

  /** Whether there is anything where the node's store is to be. */
  async hasStore(): Promise<boolean> {
    return (await this.#fileSystem.stat(NodeFolder.storePath(this.path))) !== undefined;
  }

  /**
   * Puts the store of `node.new` into a node that has none; after this it is that node's store.
   * @throws ProblemError CONFIG_INVALID where `node` is a mount of its own.
   */
  async finishStore(): Promise<void> {
    await this.#fileSystem.syncDirectory(this.newPath);
    try {
      await this.#moveNode(NodeFolder.storePath(this.newPath), NodeFolder.storePath(this.path));
    } catch (error) {
      await this.discard().catch(() => undefined);
      throw error;
    }
    // First where it now is: a power cut between the two leaves it there, perhaps in both places, never in neither.
    await this.#fileSystem.syncDirectory(this.path);
    await this.discard();
  }

  /** Removes `node.new`, which was never used. */
  async discard(): Promise<void> {
    await this.#remove(this.newPath);
    await this.#fileSystem.syncDirectory(this.dataFolder);
  }

  /**
   * Moves a node aside under a name of its own; only ever on a human's explicit command.
   * @throws ProblemError CONFIG_INVALID where `node` is a mount of its own.
   */
  async setAside(suffix: string): Promise<string> {
    const aside = `${this.path}.${suffix}`;
    await this.#moveNode(this.path, aside);
    await this.#fileSystem.syncDirectory(this.dataFolder);
    return aside;
  }

  async #moveNode(from: string, to: string): Promise<void> {
    try {
      await this.#fileSystem.rename(from, to);
    } catch (cause) {
      const code = systemCode(cause);
      if (code !== 'EXDEV' && code !== 'EBUSY') throw cause;
      throw new ProblemError('CONFIG_INVALID', `${this.path} is a mount of its own (${code})`, {
        field: 'node.dataFolder',
        hint: `mount the disk at ${this.dataFolder} instead, with node/ as a folder in it, and try again`,
        cause,
      });
    }
  }

  /** Also a link goes as itself: the host may have made it, and what it leads to is not this folder's. */
  async #remove(path: string): Promise<void> {
    try {
      await this.#fileSystem.unlink(path);
      return;
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOENT') return;
      if (code !== 'EISDIR') throw error;
    }
    for (const name of await this.#fileSystem.list(path)) await this.#remove(join(path, name));
    await this.#fileSystem.rmdir(path);
  }
}
