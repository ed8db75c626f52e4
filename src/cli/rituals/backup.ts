import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import type { Command } from 'commander';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { Datastore } from '../../rituals/datastore.ts';
import { backupRituals, restoreRituals } from '../../rituals/ritual-backup.ts';
import { openPasswordStore } from '../../store/password-store.ts';
import { print, type StoreIo } from '../store/io.ts';
import { withPlace } from '../store/session.ts';
import { readRitualsConfigFile } from './config-file.ts';
import { configured } from './session.ts';

/** Adds `backup` and `restore`. */
export function addRitualBackupCommands(parent: Command, io: StoreIo): void {
  configured(
    parent,
    'backup',
    'write a sealed backup to where the configuration says; as JSON to a name that ends in .json',
  )
    .option('--to <file>', 'somewhere else')
    .action(async (options: { config: string; to?: string }) => {
      const { config } = await readRitualsConfigFile(options.config);
      const to = resolve(options.to ?? config.backup.location);
      await requireFree(to, config.store.path, [options.config, config.store.passwordFile]);
      const { records } = await withPlace(config.store, async (place) => {
        const store = await openPasswordStore(place);
        try {
          return await backupRituals(store, place, to);
        } finally {
          await store.close();
        }
      });
      await print(io.stdout, `${records} records to ${to}\n`);
    });
  configured(
    parent,
    'restore',
    'make the store of a backup where the configuration says; the place must be empty',
  )
    .option('--from <file>', 'the backup (default: where the configuration says)')
    .action(async (options: { config: string; from?: string }) => {
      const { config } = await readRitualsConfigFile(options.config);
      const from = resolve(options.from ?? config.backup.location);
      const count = await withPlace(config.store, async (place) => {
        await restoreRituals(from, place);
        const store = await openPasswordStore(place);
        try {
          return (await Datastore.initialize(store)).count;
        } finally {
          await store.close();
        }
      });
      await print(io.stdout, `${count} rituals from ${from}\n`);
    });
}

/** A backup replaces the file of its name, and must replace nothing of the store, nor a file that the restore needs. */
async function requireFree(to: string, store: string, needed: readonly string[]): Promise<void> {
  const target = await realPlace(to);
  // It is written beside that name first.
  const written = [target, `${target}.new`];
  const folder = await realPlace(store);
  const places = await Promise.all(needed.map(async (path) => [path, await realPlace(path)] as const));
  const lost = target.startsWith(`${folder}${sep}`)
    ? `a file of the store ${store}`
    : places.find(([, place]) => written.includes(place))?.[0];
  if (lost === undefined) return;
  throw new EvidenceError('FIELD_INVALID', `the backup would replace ${lost}`, {
    field: 'to',
    hint: 'choose another name',
  });
}

/** The place that a path names, whatever links lead there; the file itself may be missing. */
async function realPlace(path: string): Promise<string> {
  const whole = resolve(path);
  return await realpath(whole).catch(async () => {
    const folder = await realpath(dirname(whole)).catch(() => dirname(whole));
    return join(folder, basename(whole));
  });
}
