import { createReadStream, rmSync } from 'node:fs';
import { lstat, open, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { systemCode } from '../../store/files/disk-failure.ts';

/** What a person is told instead of EEXIST. */
const NAME_TAKEN = 'there is a file of this name already, and none is replaced: choose another name';

/** Name of a file while it is being written, with the id of the writing process. */
const unfinished = (path: string, pid: number): string => `${path}.unfinished-${pid}`;

/**
 * Writes a new file, mode 0600. It gets its name only when it is complete and on the disk. No file is overwritten. An
 * error or a signal leaves nothing; what a killed process left is removed by the next call for the same file.
 * @param option name of the command-line option that gave the path, for messages.
 * @throws ProblemError STORE_FILE_UNWRITABLE, and whatever `fill` throws.
 */
export async function writeNewFile<T>(
  path: string,
  option: string,
  fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<T>,
): Promise<T> {
  const failed = (cause: unknown): never => {
    if (systemCode(cause) === 'EEXIST') throw unwritable(path, option, cause, NAME_TAKEN);
    throw unwritable(path, option, cause);
  };
  await requireFree(path, option);
  await removeUnfinished(path, option).catch(failed);
  const temporary = unfinished(path, process.pid);
  const stopListening = uponInterruption(() => rmSync(temporary, { force: true }));
  try {
    const file = await open(temporary, 'wx', 0o600).catch(failed);
    try {
      const result = await fill((bytes) => file.writeFile(bytes).catch(failed));
      await file.sync().catch(failed);
      await file.close().catch(failed);
      await takeName(temporary, path).catch(failed);
      return result;
    } catch (error) {
      await file.close().catch(() => undefined);
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
  } finally {
    stopListening();
  }
}

/** Calls `last` before SIGINT, SIGTERM or SIGHUP ends the process as usual. @returns a function that cancels this. */
function uponInterruption(last: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stopListening = (): void => {
    for (const signal of signals) process.off(signal, end);
  };
  const end = (signal: NodeJS.Signals): void => {
    stopListening();
    try {
      last();
    } finally {
      process.kill(process.pid, signal);
    }
  };
  for (const signal of signals) process.on(signal, end);
  return stopListening;
}

/** @throws ProblemError STORE_FILE_UNWRITABLE when another process is making the same file. */
async function removeUnfinished(path: string, option: string): Promise<void> {
  const prefix = basename(unfinished(path, 0)).slice(0, -1);
  for (const name of await readdir(dirname(path))) {
    const pid = name.startsWith(prefix) ? name.slice(prefix.length) : '';
    if (!/^[1-9]\d{0,8}$/.test(pid)) continue;
    if (Number(pid) !== process.pid && isRunning(Number(pid)))
      throw unwritable(path, option, undefined, `process ${pid} is making it`);
    await unlink(unfinished(path, Number(pid)));
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
}

/** Requires that no file has this name. @throws ProblemError STORE_FILE_UNWRITABLE. */
export async function requireFree(path: string, option: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found !== undefined) throw unwritable(path, option, undefined, NAME_TAKEN);
}

async function takeName(temporary: string, path: string): Promise<void> {
  // Reserves the name, so that no file that is there is overwritten.
  await (await open(path, 'wx', 0o600)).close();
  await rename(temporary, path).catch(async (error: unknown) => {
    await unlink(path);
    throw error;
  });
  const folder = await open(dirname(path), 'r');
  await folder.sync();
  await folder.close();
}

function unwritable(
  path: string,
  option: string,
  cause: unknown,
  why = systemCode(cause) ?? 'unwritable',
): ProblemError {
  if (cause instanceof ProblemError) return cause;
  return new ProblemError('STORE_FILE_UNWRITABLE', `--${option} ${path}: ${why}`, {
    field: option,
    observed: why,
    cause,
  });
}

/**
 * The bytes of a file, in chunks of 1 MiB.
 * @param option of the command line that named the file, for messages.
 * @throws ProblemError STORE_FILE_UNREADABLE.
 */
export async function* readFileChunks(
  path: string,
  note: (bytesSoFar: number) => void,
  option = '--from',
): AsyncGenerator<Uint8Array> {
  let read = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      // Without an encoding a read stream gives buffers.
      const bytes = chunk as Uint8Array;
      read += bytes.length;
      note(read);
      yield bytes;
    }
  } catch (cause) {
    const why = systemCode(cause) ?? 'unreadable';
    throw new ProblemError('STORE_FILE_UNREADABLE', `${option} ${path}: ${why}`, {
      field: option,
      observed: why,
      cause,
    });
  }
}
