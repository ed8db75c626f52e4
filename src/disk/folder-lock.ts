import { readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { FolderLock } from './file-system.ts';
import { takeSocketLock } from './socket-lock.ts';

/** Says who holds the lock, for people; the lock itself is the socket. */
const OWNER_FILE = 'LOCK';

/**
 * One process at a time for a folder. The lock is an abstract Unix socket named by the folder's device and inode:
 * taking it is atomic, links and bind mounts lead to the same name, and the kernel gives it back the moment its
 * process dies, by SIGKILL too, so that no lock is ever stale. It reaches as far as the network namespace does; beyond,
 * as between two containers with one volume, a socket in the folder itself says who has it.
 */
export async function lockFolder(folder: string): Promise<FolderLock | { readonly owner: string }> {
  const { dev, ino } = await stat(folder, { bigint: true });
  const server = await listen(`\0latchkey-store-${dev}-${ino}`);
  if (server === undefined) return { owner: await ownerOf(folder) };
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  const inFolder = await takeSocketLock(folder).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  if (inFolder === 'taken') {
    await close();
    return { owner: `${await ownerOf(folder)} (in another container)` };
  }
  const file = join(folder, OWNER_FILE);
  // On a read-only file system there is a lock all the same, only nobody's name on it.
  await writeFile(file, `process ${process.pid}\n`, { mode: 0o600 }).catch(() => undefined);
  return {
    async release() {
      await unlink(file).catch(() => undefined);
      await inFolder?.release();
      await close();
    },
  };
}

function listen(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => {
      // An open store alone must not keep a finished program alive.
      server.unref();
      resolve(server);
    });
  });
}

async function ownerOf(folder: string): Promise<string> {
  const text = await readFile(join(folder, OWNER_FILE), 'utf8').catch(() => '');
  return /^process \d+$/.test(text.trim()) ? text.trim() : 'another process';
}
