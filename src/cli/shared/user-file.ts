import { createReadStream } from 'node:fs';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { readAll } from '../store/io.ts';

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a folder',
};

/**
 * A file that the person named, whole; of one that is longer than `maxBytes`, or endless, a little more than that,
 * for the store to refuse.
 * @param option or argument that named it, for messages.
 * @throws ProblemError STORE_FILE_UNREADABLE.
 */
export async function readUserFile(path: string, option: string, maxBytes: number): Promise<Uint8Array> {
  try {
    return await readAll(createReadStream(path), maxBytes);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new ProblemError('STORE_FILE_UNREADABLE', `${option} ${path}: ${reasons[why] ?? why}`, {
      field: option,
      observed: why,
      cause,
    });
  }
}

/** A text file that the person named, as {@link readUserFile}. */
export const readTextFile = async (path: string, option: string, maxBytes: number): Promise<string> =>
  new TextDecoder().decode(await readUserFile(path, option, maxBytes));
