import { execFileSync } from 'node:child_process';
import { closeSync, constants, open, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openRegular } from '../../../src/disk/descriptors.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** Threads of Node.js that open files. */
const THREADS = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);

/** Opens a pipe for writing as soon as a reader waits at it. */
async function openForWriting(pipe: string): Promise<number> {
  for (;;) {
    try {
      return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Holds every thread at a pipe, so that an opening begins only when they are released. */
function holdThreads(folder: string): { release(): Promise<void> } {
  const pipes = Array.from({ length: THREADS }, (_, index) => join(folder, `pipe-${index}`));
  execFileSync('mkfifo', pipes);
  const held = pipes.map(
    (pipe) =>
      new Promise<void>((resolve) => {
        open(pipe, constants.O_RDONLY, (_error, descriptor) => {
          closeSync(descriptor);
          resolve();
        });
      }),
  );
  return {
    async release() {
      for (const pipe of pipes) closeSync(await openForWriting(pipe));
      await Promise.all(held);
    },
  };
}

/** The host replaces a file after its type was checked and before it is opened. */
async function openReplaced(replace: (path: string, elsewhere: string) => void): Promise<unknown> {
  await using folder = await tempFolder();
  const [path, elsewhere] = [join(folder.path, 'file'), join(folder.path, 'elsewhere')];
  writeFileSync(path, 'ours');
  writeFileSync(elsewhere, 'of somebody else');
  const threads = holdThreads(folder.path);
  const opening = openRegular(path, constants.O_RDWR).catch((error: unknown) => error);
  rmSync(path);
  replace(path, elsewhere);
  await threads.release();
  return opening;
}

it('a link that replaces a file while it is opened is not followed', async () => {
  expect(await openReplaced((path, elsewhere) => symlinkSync(elsewhere, path))).toMatchObject({
    code: 'ELOOP',
  });
});

it('a pipe that replaces a file while it is opened for reading does not make the opening wait', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'file');
  writeFileSync(path, 'ours');
  const threads = holdThreads(folder.path);
  const opening = openRegular(path, constants.O_RDONLY).then(
    () => 'opened',
    (error: unknown) => error,
  );
  rmSync(path);
  execFileSync('mkfifo', [path]);
  await threads.release();
  // A writer lets an opening that waits go on, so that the test ends either way; it comes after ten seconds.
  const waited = new Promise<'waits'>((resolve) => setTimeout(resolve, 10_000, 'waits'));
  const result = await Promise.race([opening, waited]);
  if (result === 'waits') closeSync(await openForWriting(path));
  expect(result).toMatchObject({ code: 'STORE_FILE_IRREGULAR', observed: 'a pipe' });
});
