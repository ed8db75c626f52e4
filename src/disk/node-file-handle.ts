import { close, constants, fdatasync, fstat, ftruncate, open, readSync, write, writev } from 'node:fs';
import type { FileHandle } from './file-system.ts';

/** Runs one callback function of `node:fs`; cheaper per call than `fs.promises`, which the commit path feels. */
export function called(run: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    run((error) => (error === null ? resolve() : reject(error)));
  });
}

/** Opens a descriptor. */
export function openDescriptor(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, 0o600, (error, descriptor) => (error === null ? resolve(descriptor) : reject(error)));
  });
}

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

/** A file of the operating system. */
export class NodeFileHandle implements FileHandle {
  readonly #path: string;
  readonly #descriptor: number;
  #durable: number | undefined;
  #opening: Promise<number> | undefined;

  constructor(path: string, descriptor: number) {
    this.#path = path;
    this.#descriptor = descriptor;
  }

  readSync(into: Uint8Array, position: number): number {
    let done = 0;
    while (done < into.length) {
      const read = readSync(this.#descriptor, into, done, into.length - done, position + done);
      if (read === 0) break;
      done += read;
    }
    return done;
  }

  write(parts: readonly Uint8Array[], position: number): Promise<void> {
    return writeAll(this.#descriptor, parts, position);
  }

  /**
   * O_DSYNC gives each write the meaning of write and fdatasync in one turn through the thread pool instead of two.
   * The second descriptor costs nothing where nobody writes this way.
   */
  writeDurable(parts: readonly Uint8Array[], position: number): Promise<void> {
    const descriptor = this.#durable;
    if (descriptor === undefined) return this.#openDurable().then(() => this.writeDurable(parts, position));
    const [first, second] = parts;
    if (first === undefined || second !== undefined) return writeAll(descriptor, parts, position);
    return writeWhole(descriptor, first, position);
  }

  sync(): Promise<void> {
    return called((done) => fdatasync(this.#descriptor, done));
  }

  truncate(length: number): Promise<void> {
    return called((done) => ftruncate(this.#descriptor, length, done));
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fstat(this.#descriptor, (error, stats) => (error === null ? resolve(stats.size) : reject(error)));
    });
  }

  async close(): Promise<void> {
    const durable = await this.#opening?.catch(() => undefined);
    this.#durable = undefined;
    this.#opening = undefined;
    if (durable !== undefined) await called((done) => close(durable, done));
    await called((done) => close(this.#descriptor, done));
  }

  async #openDurable(): Promise<void> {
    this.#opening ??= openDescriptor(this.#path, constants.O_WRONLY | constants.O_DSYNC);
    this.#durable = await this.#opening;
  }
}
