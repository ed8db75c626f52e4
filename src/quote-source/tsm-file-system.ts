import { access, constants, mkdir, open, readFile, rmdir } from 'node:fs/promises';

/** The few operations that configfs-tsm needs; errors carry the `code` of `node:fs`. */
export interface TsmFileSystem {
  exists(path: string): Promise<boolean>;
  mkdir(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** Writes an attribute in one piece: the kernel takes what one `write` and the `close` after it bring. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  read(path: string): Promise<Uint8Array>;
}

/** The operations on the real file system. */
export const tsmFileSystem: TsmFileSystem = {
  exists: (path) =>
    access(path).then(
      () => true,
      () => false,
    ),
  mkdir: async (path) => {
    await mkdir(path);
  },
  rmdir,
  async write(path, bytes) {
    // Not 'w': attributes can neither be created nor truncated, and `inblob` cannot be read.
    const file = await open(path, constants.O_WRONLY);
    try {
      const { bytesWritten } = await file.write(bytes);
      if (bytesWritten !== bytes.length) throw new Error(`${path} took only ${bytesWritten} bytes`);
    } finally {
      await file.close();
    }
  },
  async read(path) {
    return new Uint8Array(await readFile(path));
  },
};
