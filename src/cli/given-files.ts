import { createReadStream } from 'node:fs';
import { lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ProblemError } from '../errors/latchkey-error.ts';
import { systemCode } from '../store/disk-failure.ts';

/**
 * Makes a file, mode 0600, that appears under its name only when it is whole and on the disk. No file is overwritten,
 * and nothing stays after an error.
 * @throws ProblemError STORE_FILE_UNWRITABLE, and whatever `fill` throws.
 */
export async function writeNewFile<T>(
  path: string,
  fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<T>,
): Promise<T> {
  await requireFree(path);
  const temporary = `${path}.part`;
  const file = await open(temporary, 'wx', 0o600).catch((cause: unknown) => {
    throw unwritable(temporary, cause);
  });
  try {
    const result = await fill((bytes) =>
      file.writeFile(bytes).catch((cause: unknown) => {
        throw unwritable(temporary, cause);
      }),
    );
    await file.sync();
    await file.close();
    await takeName(temporary, path);
    return result;
  } catch (error) {
    await file.close().catch(() => undefined);
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

/** Refuses a name that is taken. @throws ProblemError STORE_FILE_UNWRITABLE. */
export async function requireFree(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found !== undefined) throw unwritable(path, new Error('there is a file'), 'EEXIST');
}

async function takeName(temporary: string, path: string): Promise<void> {
  try {
    // Reserves the name, so that no file that is there is overwritten.
    await (await open(path, 'wx', 0o600)).close();
    await rename(temporary, path).catch(async (error: unknown) => {
      await unlink(path);
      throw error;
    });
    const folder = await open(dirname(path), 'r');
    await folder.sync();
    await folder.close();
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

function unwritable(path: string, cause: unknown, why = systemCode(cause) ?? 'unwritable'): ProblemError {
  return new ProblemError('STORE_FILE_UNWRITABLE', `--to ${path}: ${why}`, {
    field: 'to',
    observed: why,
    cause,
  });
}

/** The bytes of a file, in chunks of 1 MiB. @throws ProblemError STORE_FILE_UNREADABLE. */
export async function* readFileChunks(
  path: string,
  note: (bytesSoFar: number) => void,
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
    throw new ProblemError('STORE_FILE_UNREADABLE', `--from ${path}: ${why}`, {
      field: 'from',
      observed: why,
      cause,
    });
  }
}
