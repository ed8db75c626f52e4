import { createReadStream } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import { backupPasswordStore, restorePasswordStore, withPasswordKey } from '../store/password-store.ts';
import type { RepairPlan } from '../store/repair.ts';
import { SealedStore } from '../store/sealed-store.ts';
import { printFacts } from './store-care.ts';
import { print, readLine, type StoreIo } from './store-io.ts';
import { startProgress } from './store-progress.ts';
import { type PlaceOptions, placeCommand, withPlace } from './store-session.ts';

interface BackupOptions extends PlaceOptions {
  readonly to: string;
}

interface RestoreOptions extends PlaceOptions {
  readonly from: string;
}

interface RepairOptions extends PlaceOptions {
  readonly lossy?: true;
  readonly yes?: true;
}

/** Adds `backup`, `restore` and `repair`. */
export function addSafekeepingCommands(parent: Command, io: StoreIo): void {
  placeCommand(parent, 'backup', 'write everything into one sealed file; the store may be in use')
    .requiredOption('--to <file>', 'a new file')
    .action((options: BackupOptions) => backup(io, options));
  placeCommand(parent, 'restore', 'make a store out of a backup, in a new or empty folder')
    .requiredOption('--from <file>', 'file that backup wrote; it needs the password of that time')
    .action((options: RestoreOptions) => restore(io, options));
  placeCommand(parent, 'repair', 'say what is damaged; with --lossy give up what cannot be read')
    .option('--lossy', 'keep what can be read, and lose the rest after asking')
    .option('--yes', 'do not ask')
    .action((options: RepairOptions) => repair(io, options));
}

const megabytes = (bytes: number): number => Math.floor(bytes / 1_000_000);

async function backup(io: StoreIo, options: BackupOptions): Promise<void> {
  const report = await withPlace(options, async (place) => {
    const progress = startProgress(io, 'backed up', 'MB');
    let written = 0;
    try {
      return await writeNewFile(resolve(options.to), (write) =>
        backupPasswordStore(place, async (bytes) => {
          await write(bytes);
          written += bytes.length;
          progress.update(megabytes(written));
        }),
      );
    } finally {
      progress.end();
    }
  });
  const { namespaces, records, valueBytes, head } = report;
  await printFacts(io, options.json, {
    backup: options.to,
    namespaces,
    records,
    valueBytes,
    sequence: head.sequence,
  });
}

/** The file appears under its name only when it is whole and on the disk. */
async function writeNewFile<T>(
  path: string,
  fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<T>,
): Promise<T> {
  const temporary = `${path}.part`;
  const file = await open(temporary, 'wx', 0o600).catch((cause: unknown) => {
    throw unwritable(temporary, cause);
  });
  try {
    const result = await fill(async (bytes) => void (await file.writeFile(bytes)));
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

async function takeName(temporary: string, path: string): Promise<void> {
  try {
    // Reserves the name, so that no file that is there is overwritten.
    await (await open(path, 'wx', 0o600)).close();
    await rename(temporary, path);
    const folder = await open(dirname(path), 'r');
    await folder.sync();
    await folder.close();
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

function unwritable(path: string, cause: unknown): ProblemError {
  const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unwritable';
  return new ProblemError('STORE_FILE_UNWRITABLE', `--to ${path}: ${why}`, {
    field: 'to',
    observed: why,
    cause,
  });
}

async function restore(io: StoreIo, options: RestoreOptions): Promise<void> {
  const report = await withPlace(options, (place) => {
    const progress = startProgress(io, 'restored', 'MB');
    return restorePasswordStore(
      place,
      readFileChunks(options.from, (bytes) => progress.update(megabytes(bytes))),
    ).finally(() => progress.end());
  });
  const { namespaces, records, valueBytes } = report;
  await printFacts(io, options.json, { restored: options.path, namespaces, records, valueBytes });
}

async function* readFileChunks(path: string, note: (bytes: number) => void): AsyncGenerator<Uint8Array> {
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
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new ProblemError('STORE_FILE_UNREADABLE', `--from ${path}: ${why}`, {
      field: 'from',
      observed: why,
      cause,
    });
  }
}

async function repair(io: StoreIo, options: RepairOptions): Promise<void> {
  await withPlace(options, async (place) => {
    const { path, fileSystem } = place;
    const plan = await withPasswordKey(place, (storeKey) =>
      SealedStore.planRepair({ path, fileSystem, storeKey }),
    );
    let isApplied = false;
    try {
      await showPlan(io, plan, options);
      if (plan.losses.length === 0) return;
      await confirm(io, options);
      isApplied = true;
      await plan.apply();
      await printFacts(io, options.json, {
        repaired: true,
        records: plan.records,
        losses: plan.losses.length,
      });
    } finally {
      if (!isApplied) await plan.discard();
    }
  });
}

async function showPlan(
  io: StoreIo,
  { losses, namespaces, records }: RepairPlan,
  { json }: RepairOptions,
): Promise<void> {
  if (json) {
    await print(io.stdout, `${JSON.stringify({ losses, namespaces, records })}\n`);
    return;
  }
  if (losses.length === 0) {
    await print(io.stdout, `nothing to repair: ${records} records in ${namespaces} namespaces\n`);
    return;
  }
  await print(io.stdout, 'this would be lost:\n');
  for (const { place, what } of losses) await print(io.stdout, `  ${place}: ${what}\n`);
  await print(io.stdout, `this would be kept: ${records} records in ${namespaces} namespaces\n`);
}

/** @throws RefusalError STORE_CONFIRMATION_NEEDED unless a person, or `--yes`, says so. */
async function confirm(io: StoreIo, { lossy, yes }: RepairOptions): Promise<void> {
  if (lossy && yes) return;
  if (lossy && io.terminal.stdin) {
    io.stderr.write('Lose this for good? A backup may have more. Type "lose" and Enter: ');
    if ((await readLine(io.stdin)).trim() === 'lose') return;
  }
  throw new RefusalError('STORE_CONFIRMATION_NEEDED', 'nothing was changed', {
    hint: lossy
      ? 'add --yes to lose it'
      : 'restore a backup if there is one; --lossy gives up what cannot be read',
  });
}
