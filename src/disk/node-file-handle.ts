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
  const [first, second] = parts;
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, written: number): void =>
      error === null ? resolve(written) : reject(error);
    // One part, as commits have, is cheaper without a list.
    if (first !== undefined && second === undefined)
      write(descriptor, first, 0, first.length, position, done);
    else writev(descriptor, parts, position, done);
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
    // Without a turn in between: whoever calls may have other work, which should run beside the disk's.
    if (this.#durable !== undefined) return writeAll(this.#durable, parts, position);
    return this.#openDurable().then((descriptor) => writeAll(descriptor, parts, position));
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

  async #openDurable(): Promise<number> {
    this.#opening ??= openDescriptor(this.#path, constants.O_WRONLY | constants.O_DSYNC);
    this.#durable = await this.#opening;
    return this.#durable;
  }
}
