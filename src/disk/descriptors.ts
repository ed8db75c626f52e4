import { closeSync, constants, fstatSync, lstatSync, open, openSync } from 'node:fs';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** Device and inode: they identify the file also when its name refers to another file later. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** Runs one callback function of `node:fs`; cheaper per call than `fs.promises`, which the commit path feels. */
export function called(run: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    run((error) => (error === null ? resolve() : reject(error)));
  });
}

/** Opens a descriptor without a check of the type of the file. */
export function openDescriptor(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, 0o600, (error, descriptor) => (error === null ? resolve(descriptor) : reject(error)));
  });
}

/** A symbolic link must not redirect an opening, and a pipe must not make it wait. */
const GUARD = constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Opens a regular file, the only way in which Latchkey opens a file of its data folder: the disk belongs to the host,
 * which may have put anything in the place of the file. A file that is opened for writing must have one name only, so
 * that no file elsewhere is written through it.
 * @param flags such as O_RDONLY; with O_CREAT and O_EXCL the file must not be there.
 * @throws EvidenceError STORE_FILE_IRREGULAR for a link, pipe, device, socket or folder, and for a second name.
 */
export async function openRegular(
  path: string,
  flags: number,
): Promise<{ readonly descriptor: number; readonly identity: FileIdentity }> {
  // Before opening, as opening a device may already do something.
  if ((flags & constants.O_CREAT) === 0) requireRegular(path, lstatSync(path, { bigint: true }));
  const descriptor = await openDescriptor(path, flags | GUARD);
  try {
    return { descriptor, identity: checkOpened(path, descriptor, flags) };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/**
 * Opens a file that was opened before for reading again, at once.
 * @throws an error with the code ESTALE when another file has taken its name.
 */
export function reopenRegular(path: string, identity: FileIdentity): number {
  requireRegular(path, lstatSync(path, { bigint: true }));
  const descriptor = openSync(path, constants.O_RDONLY | GUARD);
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  if (dev === identity.dev && ino === identity.ino) return descriptor;
  closeSync(descriptor);
  throw replaced(path);
}

/** The error for a name that now refers to another file. */
export const replaced = (path: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`ESTALE: another file has taken the name ${path}`), {
    code: 'ESTALE',
    syscall: 'open',
    path,
  });

function checkOpened(path: string, descriptor: number, flags: number): FileIdentity {
  const found = fstatSync(descriptor, { bigint: true });
  requireRegular(path, found);
  const writes = (flags & (constants.O_RDWR | constants.O_WRONLY)) !== 0;
  if (writes && found.nlink > 1n) throw irregular(path, `a file with ${found.nlink} names (hard links)`);
  return { dev: found.dev, ino: found.ino };
}

type Kind = Pick<
  ReturnType<typeof lstatSync> & object,
  'isFile' | 'isSymbolicLink' | 'isDirectory' | 'isFIFO' | 'isSocket'
>;

function requireRegular(path: string, found: Kind): void {
  if (found.isFile()) return;
  if (found.isSymbolicLink()) throw irregular(path, 'a symbolic link');
  if (found.isDirectory()) throw irregular(path, 'a folder');
  if (found.isFIFO()) throw irregular(path, 'a pipe');
  throw irregular(path, found.isSocket() ? 'a socket' : 'a device');
}

const irregular = (path: string, observed: string): EvidenceError =>
  new EvidenceError('STORE_FILE_IRREGULAR', `${path} is not a regular file: it is ${observed}`, {
    field: path,
    expected: 'a regular file with one name',
    observed,
    hint: 'nothing was changed; find out who put it there, then put the file back or restore a backup',
  });
