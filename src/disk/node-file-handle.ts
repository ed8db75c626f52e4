import { close, closeSync, fdatasync, fstatSync, ftruncate, readSync, write, writev } from 'node:fs';
import type { DescriptorPool, PooledFile } from './descriptor-pool.ts';
import { called, type FileIdentity, reopenRegular } from './descriptors.ts';
import type { FileHandle } from './file-system.ts';

function writeSome(descriptor: number, parts: readonly Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(descriptor, parts, position, (error, written) =>
      error === null ? resolve(written) : reject(error),
    );
  });
}

/** What is left of the parts behind the first `written` bytes. */
function remainder(parts: readonly Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  const rest: Uint8Array[] = [];
  for (const part of parts) {
    if (skip < part.length) rest.push(part.subarray(skip));
    skip = Math.max(0, skip - part.length);
  }
  return rest;
}

/** writev may write less than asked (signals, a nearly full disk): the rest is asked for again. */
async function writeAll(descriptor: number, parts: readonly Uint8Array[], position: number): Promise<void> {
  let rest: readonly Uint8Array[] = parts.filter((part) => part.length > 0);
  let at = position;
  while (rest.length > 0) {
    const written = await writeSome(descriptor, rest, at);
    at += written;
    rest = remainder(rest, written);
  }
}

/** As {@link writeAll} for one part, with as little around the system call as can be. */
function writeWhole(descriptor: number, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, 0, bytes.length, position, (error, written) => {
      if (error !== null) reject(error);
      else if (written === bytes.length) resolve();
      else writeAll(descriptor, [bytes.subarray(written)], position + written).then(resolve, reject);
    });
  });
}

/** The parts of a {@link NodeFileHandle}. */
export interface OpenedFile {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly descriptor: number;
  /** A second descriptor of the same file with O_DSYNC, where writes are to be durable in one step. */
  readonly durable?: number | undefined;
}

/** A file of the operating system. The descriptor of an unused read-only file may be closed and opened again. */
export class NodeFileHandle implements FileHandle, PooledFile {
  readonly #path: string;
  readonly #identity: FileIdentity;
  readonly #pool: DescriptorPool;
  #descriptor: number | undefined;
  #durable: number | undefined;
  #isClosed = false;
  #isSettled = false;
  lastUse = 0;

  constructor({ path, identity, descriptor, durable }: OpenedFile, pool: DescriptorPool) {
    this.#path = path;
    this.#identity = identity;
    this.#descriptor = descriptor;
    this.#durable = durable;
    this.#pool = pool;
  }

  readSync(into: Uint8Array, position: number): number {
    const descriptor = this.#forReading();
    let done = 0;
    while (done < into.length) {
      const read = readSync(descriptor, into, done, into.length - done, position + done);
      if (read === 0) break;
      done += read;
    }
    return done;
  }

  async write(parts: readonly Uint8Array[], position: number): Promise<void> {
    await writeAll(this.#forWriting('write'), parts, position);
  }

  /** O_DSYNC gives a write the meaning of write and fdatasync in one turn through the thread pool instead of two. */
  async writeDurable(parts: readonly Uint8Array[], position: number): Promise<void> {
    const descriptor = this.#durable;
    if (descriptor === undefined) {
      await this.write(parts, position);
      return this.sync();
    }
    const [first, second] = parts;
    if (first === undefined || second !== undefined) return writeAll(descriptor, parts, position);
    return writeWhole(descriptor, first, position);
  }

  async sync(): Promise<void> {
    const descriptor = this.#forWriting('fdatasync');
    await called((done) => fdatasync(descriptor, done));
  }

  async truncate(length: number): Promise<void> {
    const descriptor = this.#forWriting('ftruncate');
    await called((done) => ftruncate(descriptor, length, done));
  }

  async size(): Promise<number> {
    return fstatSync(this.#forReading()).size;
  }

  async settle(): Promise<void> {
    if (this.#isClosed || this.#isSettled) return;
    this.#isSettled = true;
    const durable = this.#durable;
    this.#durable = undefined;
    this.#pool.add(this);
    if (durable !== undefined) await called((done) => close(durable, done));
  }

  evict(): void {
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    if (descriptor === undefined) return;
    try {
      closeSync(descriptor);
    } catch {
      // Linux frees the descriptor also when the close reports an error, and the file is only read from here on.
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) throw badDescriptor('close', this.#path);
    this.#isClosed = true;
    this.#pool.remove(this);
    const open = [this.#durable, this.#descriptor];
    this.#durable = undefined;
    this.#descriptor = undefined;
    const closings = open.map(async (descriptor) => {
      if (descriptor !== undefined) await called((done) => close(descriptor, done));
    });
    for (const result of await Promise.allSettled(closings))
      if (result.status === 'rejected') throw result.reason;
  }

  #forReading(): number {
    this.lastUse = this.#pool.nextTurn();
    if (this.#descriptor !== undefined) return this.#descriptor;
    if (this.#isClosed) throw badDescriptor('read', this.#path);
    this.#descriptor = withRoom(this.#pool, () => reopenRegular(this.#path, this.#identity));
    this.#pool.add(this);
    return this.#descriptor;
  }

  #forWriting(call: string): number {
    if (this.#descriptor === undefined || this.#isSettled) throw badDescriptor(call, this.#path);
    return this.#descriptor;
  }
}

/** Runs an opening, and once more when the process has too many files open and the pool can close some. */
function withRoom<T>(pool: DescriptorPool, openFile: () => T): T {
  try {
    return openFile();
  } catch (error) {
    if (!isOutOfDescriptors(error) || pool.free() === 0) throw error;
    return openFile();
  }
}

/** Whether the process or the system has no descriptor left. */
export const isOutOfDescriptors = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'EMFILE' || error.code === 'ENFILE');

const badDescriptor = (call: string, path: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`EBADF: ${call} '${path}'`), { code: 'EBADF', syscall: call, path });
