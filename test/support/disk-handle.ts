import { concatBytes } from '../../src/bytes/concat.ts';
import type { FileHandle } from '../../src/disk/file-system.ts';
import { systemError } from './disk-errors.ts';
import type { SimulatedFile } from './disk-nodes.ts';
import type { OperationLog } from './disk-operations.ts';

/** An open file of a {@link SimulatedDisk}. */
export class SimulatedHandle implements FileHandle {
  readonly #path: string;
  readonly #file: SimulatedFile;
  readonly #operations: OperationLog;
  readonly #readOnly: boolean;
  #closed = false;

  constructor(path: string, file: SimulatedFile, operations: OperationLog, readOnly = false) {
    this.#path = path;
    this.#file = file;
    this.#operations = operations;
    this.#readOnly = readOnly;
    operations.openHandles++;
  }

  readSync(into: Uint8Array, position: number): number {
    this.#check('read');
    const fault = this.#operations.begin('read', this.#path);
    if (fault !== undefined) throw systemError(fault.code, 'read', this.#path);
    const found = this.#file.bytes().subarray(position, position + into.length);
    into.set(found);
    return found.length;
  }

  async write(parts: readonly Uint8Array[], position: number): Promise<void> {
    this.#check('write', true);
    await null;
    const fault = this.#operations.begin('write', this.#path);
    // Copied only now: a caller that reuses its buffers before the promise resolves is caught.
    const bytes = concatBytes(...parts);
    const growth = Math.max(0, position + bytes.length - this.#file.size);
    const room = this.#operations.roomBytes();
    const full = growth > room;
    const written =
      fault === undefined ? bytes.length - (full ? growth - room : 0) : (fault.writtenBytes ?? 0);
    if (written > 0) this.#file.change({ kind: 'write', position, bytes: bytes.slice(0, written) });
    if (fault !== undefined) throw systemError(fault.code, 'write', this.#path);
    if (full) throw systemError('ENOSPC', 'write', this.#path);
  }

  /** Two steps, as it is for the power: bytes may have been written and not be durable. */
  async writeDurable(parts: readonly Uint8Array[], position: number): Promise<void> {
    await this.write(parts, position);
    await this.sync();
  }

  async sync(): Promise<void> {
    this.#check('fdatasync');
    const covered = this.#file.lastChange;
    await this.#operations.enter('sync', this.#path, () => this.#file.dropDirty());
    this.#file.sync(covered);
  }

  async truncate(length: number): Promise<void> {
    this.#check('ftruncate', true);
    await this.#operations.enter('truncate', this.#path);
    this.#file.change({ kind: 'resize', length });
  }

  async size(): Promise<number> {
    this.#check('fstat');
    await this.#operations.enter('stat', this.#path);
    return this.#file.size;
  }

  async close(): Promise<void> {
    this.#check('close');
    this.#closed = true;
    this.#operations.openHandles--;
  }

  #check(call: string, writes = false): void {
    if (this.#closed || (writes && this.#readOnly)) throw systemError('EBADF', call, this.#path);
  }
}
