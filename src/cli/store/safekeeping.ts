import { resolve } from 'node:path';
import type { Command } from 'commander';
import { RefusalError } from '../../errors/latchkey-error.ts';
import type { RepairPlan } from '../../store/maintain/repair.ts';
import { backupPasswordStore, restorePasswordStore, withPasswordKey } from '../../store/password-store.ts';
import { SealedStore } from '../../store/sealed-store.ts';
import { readFileChunks, writeNewFile } from '../shared/file-io.ts';
import { printFacts } from './care.ts';
import { print, readLine, type StoreIo } from './io.ts';
import { startProgress } from './progress.ts';
import { type PlaceOptions, placeCommand, withPlace } from './session.ts';

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
      return await writeNewFile(resolve(options.to), 'to', (write) =>
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
