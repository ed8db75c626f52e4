import { close as closeDescriptor, constants, fstatSync } from 'node:fs';
import { chmod, link, lstat, readdir, stat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import { called, openDescriptor } from './descriptors.ts';
import type { FolderLock } from './file-system.ts';
import { noteOwner, readOwner, removeOwner } from './lock-owner.ts';

/** A lock is a socket file of this name in the folder; the number grows past those of processes that were killed. */
const LOCK_NAME = /^LOCK\.([1-9]\d{0,14})$/;
const MAX_NUMBER = 999_999_999_999_998;
const NEW_NAME = /^LOCK\.new-/;
const ATTEMPTS = 10;
/** Two processes that came at the same moment both step back, and must not meet again. */
const MAX_PAUSE_MS = 30;

/**
 * One process at a time for a folder, among all processes that see it, also through other network namespaces and
 * mounts: the process that listens on a socket in the folder has it, and a killed process listens no more. A new
 * socket listens before it gets its name by an atomic link, so a name without a listening process is always a
 * leftover. On a read-only file system no process can write, so there the lock is granted without a socket.
 * @throws ProblemError STORE_LOCK_UNAVAILABLE where the socket cannot be made: without a lock nothing is opened.
 */
export async function takeSocketLock(folder: string): Promise<FolderLock | { readonly owner: string }> {
  const directory = await openDescriptor(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  // A socket's path must be short, which the folder's may not be; and the folder may be renamed while it is locked.
  const inside = `/proc/self/fd/${directory}`;
  const claim = new Claim(inside);
  const end = async (): Promise<void> => {
    await claim.close();
    await called((done) => closeDescriptor(directory, done));
  };
  try {
    const own = await claim.take();
    if (own === 'taken') {
      const owner = await readOwner(inside);
      await end();
      return { owner };
    }
    if (own !== undefined) await noteOwner(inside);
    return {
      isInPlace: () => isSameFolder(directory, folder),
      async release() {
        if (own !== undefined) {
          await removeOwner(inside);
          await claim.remove(own);
        }
        await end();
      },
    };
  } catch (error) {
    await end();
    throw lockUnavailable(error, folder);
  }
}

/** Whether a path leads to the folder of a descriptor. */
async function isSameFolder(directory: number, folder: string): Promise<boolean> {
  const taken = fstatSync(directory, { bigint: true });
  const found = await stat(folder, { bigint: true }).catch(() => undefined);
  return found !== undefined && found.dev === taken.dev && found.ino === taken.ino;
}

/** One attempt of this process at a folder. */
class Claim {
  readonly #folder: string;
  #server: Server | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @returns the name of the lock, or `undefined` on a read-only file system. */
  async take(): Promise<string | 'taken' | undefined> {
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const found = await this.#others('');
        if (found.isHeld) return 'taken';
        if (found.highest > MAX_NUMBER) throw numbersUsedUp(found.highest);
        const name = `LOCK.${found.highest + 1}`;
        if (!(await this.#name(name))) continue;
        const others = await this.#others(name);
        if (!others.isHeld) {
          for (const left of others.leftovers) await this.remove(left);
          return name;
        }
        await this.remove(name);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * MAX_PAUSE_MS));
      }
      return 'taken';
    } catch (error) {
      if (codeOf(error) === 'EROFS') return undefined;
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
      // Another user may open the folder after this process was killed, and must be able to ask whether it lives.
      await chmod(`${this.#folder}/${temporary}`, 0o666);
      await link(`${this.#folder}/${temporary}`, `${this.#folder}/${name}`);
      return true;
    } catch (error) {
      // ENOENT: the owner took the new socket for a leftover, before it listened.
      if (codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOENT') return false;
      throw error;
    } finally {
      await this.remove(temporary);
    }
  }

  async #others(own: string) {
    const leftovers: string[] = [];
    let isHeld = false;
    let highest = 0;
    for (const name of await readdir(this.#folder)) {
      const number = LOCK_NAME.exec(name)?.[1];
      if (name === own || (number === undefined && !NEW_NAME.test(name))) continue;
      highest = Math.max(highest, Number(number ?? 0));
      if (!(await isHeldSocket(`${this.#folder}/${name}`))) leftovers.push(name);
      else if (number !== undefined) isHeld = true;
    }
    return { leftovers, isHeld, highest };
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';

/** What is missing for a lock, and what to do about it, by the error of the system. */
const remedies: Readonly<Record<string, readonly [missing: string, hint: string]>> = {
  ENOSPC: ['room for one more file', 'free some room on the disk, or inodes (df -i shows them)'],
  EDQUOT: ['quota for one more file', 'free some files of this user, or raise the quota'],
  EACCES: ['the right to make files in the folder', 'give this user the right to write to the folder'],
  EPERM: ['the right to make files in the folder', 'give this user the right to write to the folder'],
  EMFILE: ['a free file descriptor', 'raise the limit of open files (ulimit -n)'],
  ENFILE: [
    'a free file descriptor of the system',
    'raise fs.file-max, or stop programs with many open files',
  ],
};
const unsupported = [
  'sockets and links in the file system',
  'use a local file system such as ext4 or XFS',
] as const;

function lockUnavailable(error: unknown, folder: string): LatchkeyError {
  if (error instanceof LatchkeyError) return error;
  const code = codeOf(error);
  const [missing, hint] = remedies[code] ?? unsupported;
  return new ProblemError('STORE_LOCK_UNAVAILABLE', `the folder ${folder} cannot be locked: ${code}`, {
    field: folder,
    expected: missing,
    observed: code,
    hint: `${hint}; without a lock two processes could write, so nothing was opened`,
    cause: error,
  });
}

const numbersUsedUp = (highest: number): ProblemError =>
  new ProblemError('STORE_LOCK_UNAVAILABLE', `a lock has the impossible number ${highest}`, {
    field: `LOCK.${highest}`,
    expected: `at most ${MAX_NUMBER}`,
    observed: String(highest),
    hint: 'no process of Latchkey made it: remove it when no process has the folder open',
  });

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

/** A file that is not a socket at the path of a lock was planted, and does not count as a lock. */
async function isHeldSocket(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isSocket() === true && (await isListening(path));
}

/** Whether a process listens on a socket file; true in doubt, when it is busy or belongs to another user. */
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
