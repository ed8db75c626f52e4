import { basename, dirname } from 'node:path';
import type { FileHandle, FileSystem, FolderLock } from '../../src/disk/file-system.ts';
import { seededDice } from './disk-dice.ts';
import { systemError } from './disk-errors.ts';
import { SimulatedHandle } from './disk-handle.ts';
import { SimulatedFile, SimulatedFolder, type SimulatedNode } from './disk-nodes.ts';
import { type DiskOperation, type Fault, OperationLog } from './disk-operations.ts';
import type { Survival } from './disk-survival.ts';

/** A folder's place: its parent and the last name of the path. */
interface Place {
  readonly folder: SimulatedFolder;
  readonly name: string;
  readonly node: SimulatedNode | undefined;
}

/**
 * A disk in memory that behaves as badly as real ones may: what was not synced can be lost, torn or reordered by
 * {@link afterPowerCut}; any operation can fail ({@link inject}); the power goes off before the operation of
 * {@link cutAt}, after which every operation fails. Only operations that change something count as steps.
 */
export class SimulatedDisk implements FileSystem {
  readonly #root: SimulatedFolder;
  readonly operations: OperationLog;
  /** Folders taken by {@link lock}; a power cut frees them, as the end of a process does. */
  readonly #locked = new Set<SimulatedFolder>();

  constructor(
    options: { readonly capacityBytes?: number } = {},
    root: SimulatedFolder = new SimulatedFolder(),
  ) {
    this.#root = root;
    this.operations = new OperationLog(() => this.#usedBytes(this.#root), options.capacityBytes);
  }

  /** Steps so far. */
  get steps(): number {
    return this.operations.steps;
  }

  /** Cuts the power just before step `step` (1 is the first ever) would be done. */
  cutAt(step: number): void {
    this.operations.cutAt = step;
  }

  /** Every operation is shown to `plan`, which may let it fail. Replaces the plan before. */
  inject(plan: ((operation: DiskOperation) => Fault | undefined) | undefined): void {
    this.operations.plan = plan;
  }

  /** Sets the room on the disk; writes beyond it end with ENOSPC and a short write. */
  setCapacity(bytes: number | undefined): void {
    this.operations.capacityBytes = bytes;
  }

  /** Bytes that all files take. */
  get usedBytes(): number {
    return this.#usedBytes(this.#root);
  }

  /** The disk as the next boot finds it. The same seed gives the same survivors. */
  afterPowerCut(survival: Survival, seed = 1): SimulatedDisk {
    return new SimulatedDisk({}, this.#root.afterPowerCut(survival, seededDice(seed)));
  }

  /** The same disk for the next process, when only the process died: what was written is seen, and still dirty. */
  afterKill(): SimulatedDisk {
    return new SimulatedDisk({}, this.#root);
  }

  /** An independent copy of what programs see now. */
  clone(): SimulatedDisk {
    return new SimulatedDisk({}, this.#root.clone());
  }

  /** All files with their visible bytes, by path; for tests that look for secrets or tamper. */
  files(): Map<string, Uint8Array> {
    const found = new Map<string, Uint8Array>();
    const walk = (folder: SimulatedFolder, path: string): void => {
      for (const [name, node] of folder.entries()) {
        if (node.kind === 'file') found.set(`${path}/${name}`, node.bytes().slice());
        else walk(node, `${path}/${name}`);
      }
    };
    walk(this.#root, '');
    return found;
  }

  /** The attacker's pen: replaces (or removes) a file durably, past all counting and failing. */
  tamper(path: string, bytes: Uint8Array | undefined): void {
    const { folder, name } = this.#place(path, 'tamper');
    if (bytes === undefined) folder.change({ kind: 'unlink', name });
    else folder.change({ kind: 'link', name, node: new SimulatedFile(bytes) });
    folder.sync();
  }

  async open(path: string, mode: 'read' | 'read-write' | 'create'): Promise<FileHandle> {
    await this.operations.enter(mode === 'create' ? 'create' : 'open', path);
    const { folder, name, node } = this.#place(path, 'open');
    if (mode === 'create') {
      if (node !== undefined) throw systemError('EEXIST', 'open', path);
      const created = new SimulatedFile();
      folder.change({ kind: 'link', name, node: created });
      return new SimulatedHandle(path, created, this.operations);
    }
    if (node === undefined) throw systemError('ENOENT', 'open', path);
    if (node.kind === 'directory') throw systemError('EISDIR', 'open', path);
    return new SimulatedHandle(path, node, this.operations, mode === 'read');
  }

  async rename(from: string, to: string): Promise<void> {
    await this.operations.enter('rename', to);
    const source = this.#place(from, 'rename');
    const target = this.#place(to, 'rename');
    if (source.node === undefined) throw systemError('ENOENT', 'rename', from);
    if (target.node?.kind === 'directory' && target.node.size > 0)
      throw systemError('ENOTEMPTY', 'rename', to);
    if (source.folder === target.folder) {
      source.folder.change({ kind: 'rename', from: source.name, to: target.name, node: source.node });
      return;
    }
    target.folder.change({ kind: 'link', name: target.name, node: source.node });
    source.folder.change({ kind: 'unlink', name: source.name });
  }

  async unlink(path: string): Promise<void> {
    await this.operations.enter('unlink', path);
    const { folder, name, node } = this.#place(path, 'unlink');
    if (node === undefined) throw systemError('ENOENT', 'unlink', path);
    if (node.kind === 'directory') throw systemError('EISDIR', 'unlink', path);
    folder.change({ kind: 'unlink', name });
  }

  async mkdir(path: string): Promise<void> {
    await this.operations.enter('mkdir', path);
    const { folder, name, node } = this.#place(path, 'mkdir');
    if (node !== undefined) throw systemError('EEXIST', 'mkdir', path);
    folder.change({ kind: 'link', name, node: new SimulatedFolder() });
  }

  async rmdir(path: string): Promise<void> {
    await this.operations.enter('rmdir', path);
    const { folder, name } = this.#place(path, 'rmdir');
    if (this.#folder(path, 'rmdir').size > 0) throw systemError('ENOTEMPTY', 'rmdir', path);
    folder.change({ kind: 'unlink', name });
  }

  async list(path: string): Promise<readonly string[]> {
    await this.operations.enter('list', path);
    return [...this.#folder(path, 'list').entries()].map(([name]) => name);
  }

  async stat(
    path: string,
  ): Promise<{ readonly kind: 'file' | 'directory' | 'other'; readonly size: number } | undefined> {
    await this.operations.enter('stat', path);
    const node = this.#find(path);
    return node === undefined ? undefined : { kind: node.kind, size: node.size };
  }

  async syncDirectory(path: string): Promise<void> {
    const folder = this.#folder(path, 'fsync');
    await this.operations.enter('syncDirectory', path, () => folder.dropDirty());
    folder.sync();
  }

  async freeBytes(): Promise<number> {
    return this.operations.roomBytes();
  }

  async lock(path: string): Promise<FolderLock | { readonly owner: string }> {
    const folder = this.#folder(path, 'lock');
    if (this.#locked.has(folder)) return { owner: 'another simulated process' };
    this.#locked.add(folder);
    return { release: async () => void this.#locked.delete(folder) };
  }

  #find(path: string): SimulatedNode | undefined {
    let node: SimulatedNode | undefined = this.#root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (node?.kind !== 'directory') return undefined;
      node = node.get(name);
    }
    return node;
  }

  #folder(path: string, call: string): SimulatedFolder {
    const node = this.#find(path);
    if (node === undefined) throw systemError('ENOENT', call, path);
    if (node.kind !== 'directory') throw systemError('ENOTDIR', call, path);
    return node;
  }

  #place(path: string, call: string): Place {
    const folder = this.#folder(dirname(path), call);
    return { folder, name: basename(path), node: folder.get(basename(path)) };
  }

  #usedBytes(folder: SimulatedFolder): number {
    let used = 0;
    for (const [, node] of folder.entries()) used += node.kind === 'file' ? node.size : this.#usedBytes(node);
    return used;
  }
}
