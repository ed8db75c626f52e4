import { close as closeDescriptor, constants } from 'node:fs';
import { link, readdir, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import type { FolderLock } from './file-system.ts';
import { called, openDescriptor } from './node-file-handle.ts';

/** A lock is a socket file of this name in the folder; the number grows past those of processes that were killed. */
const LOCK_NAME = /^LOCK\.([1-9]\d{0,8})$/;
const NEW_NAME = /^LOCK\.new-/;
const ATTEMPTS = 10;
/** Two that came at the same moment both step back, and must not meet again. */
const MAX_PAUSE_MS = 30;
/** Where sockets or links cannot be made, as on a read-only or a full disk, this lock cannot be had. */
const unsupported = new Set(
  'EROFS EACCES EPERM ENOTSUP EOPNOTSUPP ENOSYS EINVAL ENOENT ENOSPC EDQUOT EMLINK'.split(' '),
);

/**
 * Takes a folder among all processes that see it, also through other network namespaces and mounts: whoever listens
 * on a socket in it has it, and a killed process listens no more. A new socket listens before it gets its name by an
 * atomic link, so that a name with nobody behind it is always one that was left behind.
 * @returns `taken` when somebody else has it, `undefined` where the file system has no such locks.
 */
export async function takeSocketLock(folder: string): Promise<FolderLock | 'taken' | undefined> {
  const directory = await openDescriptor(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const closeDirectory = () => called((done) => closeDescriptor(directory, done));
  // A socket's path must be short, which the folder's may not be.
  const claim = new Claim(`/proc/self/fd/${directory}`);
  let own: string | 'taken' | undefined;
  try {
    own = await claim.take();
  } finally {
    if (own === undefined || own === 'taken') {
      await claim.close();
      await closeDirectory();
    }
  }
  if (own === undefined || own === 'taken') return own;
  const name = own;
  return {
    async release() {
      await claim.remove(name);
      await claim.close();
      await closeDirectory();
    },
  };
}

/** One attempt of this process at a folder. */
class Claim {
  readonly #folder: string;
  #server: Server | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @returns the name of the lock. */
  async take(): Promise<string | 'taken' | undefined> {
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const found = await this.#others('');
        if (found.someoneHasIt) return 'taken';
        const name = `LOCK.${found.highest + 1}`;
        if (!(await this.#name(name))) continue;
        const others = await this.#others(name);
        if (!others.someoneHasIt) {
          for (const left of others.leftBehind) await this.remove(left);
          return name;
        }
        await this.remove(name);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * MAX_PAUSE_MS));
      }
      return 'taken';
    } catch (error) {
      if (unsupported.has(codeOf(error))) return undefined;
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    await unlink(`${this.#folder}/${name}`).catch(() => undefined);
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** Listens under the name; false when another process was quicker. */
  async #name(name: string): Promise<boolean> {
    await this.close();
    const temporary = `LOCK.new-${process.pid}-${process.hrtime.bigint()}`;
    this.#server = await listen(`${this.#folder}/${temporary}`);
    try {
      await link(`${this.#folder}/${temporary}`, `${this.#folder}/${name}`);
      return true;
    } catch (error) {
      // ENOENT: the owner took the new socket for one left behind, before it listened.
      if (codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOENT') return false;
      throw error;
    } finally {
      await this.remove(temporary);
    }
  }

  async #others(own: string) {
    const leftBehind: string[] = [];
    let someoneHasIt = false;
    let highest = 0;
    for (const name of await readdir(this.#folder)) {
      const number = LOCK_NAME.exec(name)?.[1];
      if (name === own || (number === undefined && !NEW_NAME.test(name))) continue;
      highest = Math.max(highest, Number(number ?? 0));
      const isHeld = await isListening(`${this.#folder}/${name}`);
      if (!isHeld) leftBehind.push(name);
      else if (number !== undefined) someoneHasIt = true;
    }
    return { leftBehind, someoneHasIt, highest };
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    // In a cluster the primary would listen, and outlive a killed worker.
    server.listen({ path, exclusive: true }, () => {
      // An open store alone must not keep a finished program alive.
      server.unref();
      resolve(server);
    });
  });
}

/** Whether a process is behind a socket file; in doubt, as when it is busy or belongs to another user, there is. */
export function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error))));
  });
}
