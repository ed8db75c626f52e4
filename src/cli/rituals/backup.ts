import { resolve } from 'node:path';
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
      requireNeither(to, [options.config, config.store.passwordFile]);
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

/** A backup replaces the file of its name, and must not replace one that the restore needs. */
function requireNeither(to: string, needed: readonly string[]): void {
  const lost = needed.find((path) => resolve(path) === to);
  if (lost === undefined) return;
  throw new EvidenceError('FIELD_INVALID', `the backup would replace ${lost}`, {
    field: 'to',
    hint: 'choose another name',
  });
}
