import { dirname } from 'node:path';
import { equalBytes } from '../bytes/concat.ts';
import type { FileHandle, FileSystem } from '../disk/file-system.ts';
import { EvidenceError, LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import { systemCode } from '../store/files/disk-failure.ts';
import { decodeKeyslotFile, encodeKeyslotFile, MAX_KEYSLOT_FILE_BYTES } from './keyslot-codec.ts';
import type { KeyslotFile, StoreIdentity } from './keyslot-file.ts';

/** The keyslot file on a disk: its content is not trusted, and it is replaced atomically. One object per process. */
export class KeyslotDisk {
  readonly #files: FileSystem;
  readonly #path: string;
  readonly #temporary: string;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param path absolute; `<path>.new` is used too. */
  constructor(files: FileSystem, path: string) {
    this.#files = files;
    this.#path = path;
    this.#temporary = `${path}.new`;
  }

  /**
   * Reads the file. A file that an interrupted {@link replace} left is ignored: it was never in force.
   * @param expected refuses a file of another store or account, which the host may have put there.
   * @throws EvidenceError KEYSLOT_FILE_MISSING, KEYSLOT_FILE_MALFORMED, KEYSLOT_FILE_FOREIGN.
   * @throws ProblemError KEYSLOT_READ_FAILED.
   */
  async read(expected?: Partial<StoreIdentity>): Promise<KeyslotFile> {
    const bytes = await this.#readBytes();
    if (bytes === undefined) {
      throw new EvidenceError('KEYSLOT_FILE_MISSING', 'the keyslot file is missing', {
        field: this.#path,
        hint: 'put it back; without it the store stays locked, and nothing is changed',
      });
    }
    const file = decodeKeyslotFile(bytes);
    for (const field of ['account', 'storeId'] as const) {
      const wanted = expected?.[field];
      if (wanted !== undefined && !equalBytes(wanted, file[field])) {
        throw new EvidenceError('KEYSLOT_FILE_FOREIGN', `the keyslot file has another ${field}`, { field });
      }
    }
    return file;
  }

  /** Whether there is a file at the path, readable or not. */
  async exists(): Promise<boolean> {
    return (await this.#files.stat(this.#path)) !== undefined;
  }

  async #readBytes(): Promise<Uint8Array | undefined> {
    try {
      const found = await this.#files.stat(this.#path);
      if (found === undefined) return undefined;
      if (found.kind !== 'file') refuse(`is a ${found.kind}`);
      return await this.#readOpened();
    } catch (error) {
      if (error instanceof LatchkeyError) throw error;
      throw new ProblemError('KEYSLOT_READ_FAILED', 'the keyslot file cannot be read', { cause: error });
    }
  }

  async #readOpened(): Promise<Uint8Array> {
    const handle = await this.#files.open(this.#path, 'read');
    try {
      // One byte above the limit, so that a longer file is refused, independent of `stat`: the host may change it now.
      const room = new Uint8Array(MAX_KEYSLOT_FILE_BYTES + 1);
      let length = 0;
      while (length < room.length) {
        const read = handle.readSync(room.subarray(length), length);
        if (read === 0) break;
        length += read;
      }
      return room.subarray(0, length);
    } finally {
      await handle.close();
    }
  }

  /**
   * Replaces the file: temporary file, fsync, rename, fsync of the folder. When it resolves, the new content is on the
   * disk; a power cut at any time before leaves the former one or the new one, whole. Calls queue.
   * @throws ProblemError KEYSLOT_WRITE_FAILED; the former content or the new one is in force: call again.
   */
  replace(file: KeyslotFile): Promise<void> {
    const bytes = encodeKeyslotFile(file);
    const turn = this.#turn.then(() => this.#replace(bytes));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #replace(bytes: Uint8Array): Promise<void> {
    try {
      const handle = await this.#createTemporary();
      try {
        await handle.write([bytes], 0);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await this.#files.rename(this.#temporary, this.#path);
      await this.#files.syncDirectory(dirname(this.#path));
    } catch (error) {
      throw new ProblemError('KEYSLOT_WRITE_FAILED', 'the keyslot file could not be replaced', {
        hint: 'check the disk; the node keeps running and tries again',
        cause: error,
      });
    }
  }

  async #createTemporary(): Promise<FileHandle> {
    try {
      return await this.#files.open(this.#temporary, 'create');
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      // Left by an interrupted replacement, or planted by the host.
      await this.#files.unlink(this.#temporary);
      return this.#files.open(this.#temporary, 'create');
    }
  }
}

function refuse(observed: string): never {
  throw new EvidenceError('KEYSLOT_FILE_MALFORMED', `the keyslot file ${observed}`, {
    field: 'file',
    expected: `a file of at most ${MAX_KEYSLOT_FILE_BYTES} bytes`,
    observed,
  });
}
