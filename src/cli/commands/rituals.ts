import { resolve } from 'node:path';
import { Command } from 'commander';
import { toHex } from '../../bytes/hex.ts';
import { nodeFileSystem } from '../../disk/node-file-system.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { Datastore } from '../../rituals/datastore.ts';
import type { RitualReference } from '../../rituals/ritual.ts';
import {
  defaultBackupLocation,
  formatRitualsConfig,
  RITUALS_CONFIG_VERSION,
} from '../../rituals/ritual-config.ts';
import { createPasswordStore } from '../../store/password-store.ts';
import { addRitualBackupCommands } from '../rituals/backup.ts';
import { addConditionsCommands } from '../rituals/conditions.ts';
import {
  createRitualsConfigFile,
  readRitualsConfigFile,
  replaceRitualsConfigFile,
  requireNoRitualsConfigFile,
} from '../rituals/config-file.ts';
import { addFollowCommand } from '../rituals/follow.ts';
import {
  booleanArgument,
  type ConfigOption,
  configured,
  configuredOrAgent,
  integerArgument,
  type PlaceChoice,
  withDatastore,
  withFragments,
} from '../rituals/session.ts';
import { print, processIo, readAll, type StoreIo } from '../store/io.ts';
import { withPlace } from '../store/session.ts';

const MAX_FRAGMENT_BYTES = 1024 * 1024;
/** Revocations under way together. */
const AT_ONCE = 256;

/** `latchkey rituals`: a node's ritual fragments, with the store and the backup that its configuration file names. */
export function ritualsCommand(io: StoreIo = processIo()): Command {
  const rituals = new Command('rituals').description('decryption key fragments of rituals');
  addConfigCommands(rituals, io);
  addRitualBackupCommands(rituals, io);
  addReadingCommands(rituals, io);
  addWritingCommands(rituals, io);
  addConditionsCommands(rituals, io);
  addFollowCommand(rituals, io);
  return rituals;
}

interface PlaceOptions extends ConfigOption {
  readonly path?: string;
  readonly passwordFile?: string;
  readonly backupLocation?: string;
  readonly requireConditions?: string;
}

const REQUIRE_CONDITIONS = '--require-conditions <true|false>';

function addConfigCommands(parent: Command, io: StoreIo): void {
  configured(parent, 'init', 'make the store and its configuration file')
    .requiredOption('--path <dir>', 'folder of the new store')
    .requiredOption('--password-file <file>', 'file with its password')
    .option('--backup-location <file>', 'where backups go (default: in the folder that holds the store)')
    .option(REQUIRE_CONDITIONS, 'permit only what the conditions of a ritual state (default: false)')
    .action((options: PlaceOptions & { path: string; passwordFile: string }) => init(io, options));
  configured(parent, 'config', 'show the configuration, change it, and bring an older file to this version')
    .option('--backup-location <file>', 'where backups go')
    .option('--path <dir>', 'folder of the store')
    .option('--password-file <file>', 'file with its password')
    .option(REQUIRE_CONDITIONS, 'permit only what the conditions of a ritual state')
    .action((options: PlaceOptions) => configure(io, options));
}

async function init(
  io: StoreIo,
  options: PlaceOptions & { path: string; passwordFile: string },
): Promise<void> {
  const path = resolve(options.path);
  const passwordFile = resolve(options.passwordFile);
  const location = resolve(options.backupLocation ?? defaultBackupLocation(path));
  const required = booleanArgument(options.requireConditions ?? 'false', 'require-conditions');
  await requireNoRitualsConfigFile(nodeFileSystem, options.config);
  await withPlace({ path, passwordFile }, async (place) => {
    const store = await createPasswordStore(place);
    try {
      await Datastore.initialize(store);
    } finally {
      await store.close();
    }
  });
  await createRitualsConfigFile(nodeFileSystem, options.config, {
    version: RITUALS_CONFIG_VERSION,
    store: { path, passwordFile },
    backup: { location },
    conditions: { required },
  });
  await print(io.stdout, `store in ${path}, configuration in ${options.config}, backups to ${location}\n`);
}

async function configure(io: StoreIo, options: PlaceOptions): Promise<void> {
  const { config, foundVersion } = await readRitualsConfigFile(options.config);
  const chosen = (given: string | undefined, present: string): string =>
    given === undefined ? present : resolve(given);
  const changed = {
    version: config.version,
    store: {
      path: chosen(options.path, config.store.path),
      passwordFile: chosen(options.passwordFile, config.store.passwordFile),
    },
    backup: { location: chosen(options.backupLocation, config.backup.location) },
    conditions: {
      required:
        options.requireConditions === undefined
          ? config.conditions.required
          : booleanArgument(options.requireConditions, 'require-conditions'),
    },
  };
  const isMigrated = foundVersion !== RITUALS_CONFIG_VERSION;
  if (isMigrated || formatRitualsConfig(config) !== formatRitualsConfig(changed))
    await replaceRitualsConfigFile(nodeFileSystem, options.config, changed, foundVersion);
  if (isMigrated)
    io.stderr.write(
      `migrated from version ${foundVersion}; the old file is ${options.config}.v${foundVersion}\n`,
    );
  await print(io.stdout, formatRitualsConfig(changed));
}

function addReadingCommands(parent: Command, io: StoreIo): void {
  configured(parent, 'list', 'rituals by time, without their fragments')
    .option('--expired <unix-seconds>', 'only those of this time or earlier')
    .option('--json', 'print JSON lines')
    .action(async (options: ConfigOption & { expired?: string; json?: true }) => {
      await withDatastore(options, async (datastore) => {
        const found =
          options.expired === undefined
            ? await datastore.list()
            : await datastore.findExpired(integerArgument(options.expired, 'expired'));
        for (const { id, timestamp } of found) {
          const line = options.json
            ? JSON.stringify({ id, timestamp })
            : `${id}\t${timestamp}\t${isoTime(timestamp)}`;
          await print(io.stdout, `${line}\n`);
        }
      });
    });
  configured(parent, 'get <id>', 'print the fragment of a ritual, in hex unless --raw')
    .option('--raw', 'the bytes themselves')
    .option('--json', 'print id, timestamp and fragment as JSON')
    .action(async (id: string, options: ConfigOption & { raw?: true; json?: true }) => {
      await withDatastore(options, async (datastore) => {
        const ritual = await datastore.retrieveFragment(integerArgument(id, 'id'));
        const fragment = toHex(ritual.fragment);
        if (options.raw) await print(io.stdout, ritual.fragment);
        else await print(io.stdout, `${options.json ? JSON.stringify({ ...ritual, fragment }) : fragment}\n`);
      });
    });
}

function addWritingCommands(parent: Command, io: StoreIo): void {
  configuredOrAgent(
    parent,
    'store <id> <timestamp>',
    'store the fragment on stdin (raw bytes) for a ritual',
  ).action(async (id: string, timestamp: string, options: PlaceChoice) => {
    const fragment = await readAll(io.stdin, MAX_FRAGMENT_BYTES);
    if (fragment.length > MAX_FRAGMENT_BYTES) {
      throw new EvidenceError('FIELD_INVALID', `a fragment has at most ${MAX_FRAGMENT_BYTES} bytes`);
    }
    await withFragments(options, async (target) => {
      const written = await target.storeFragment(
        integerArgument(id, 'id'),
        integerArgument(timestamp, 'timestamp'),
        fragment,
      );
      await print(io.stdout, written ? 'stored\n' : 'there already\n');
    });
  });
  configuredOrAgent(parent, 'revoke <id>', 'erase the fragment of a ritual by destroying its key').action(
    async (id: string, options: PlaceChoice) => {
      await withFragments(options, (target) => target.deleteFragment(integerArgument(id, 'id')));
      await print(io.stdout, 'erased\n');
    },
  );
  configured(parent, 'revoke-expired <unix-seconds>', 'erase all fragments of this time or earlier').action(
    async (cutoff: string, options: ConfigOption) => {
      await withDatastore(options, async (datastore) => {
        const expired = await datastore.findExpired(integerArgument(cutoff, 'cutoff'));
        const { erased, failures } = await eraseAll(datastore, expired);
        await print(io.stdout, `erased ${erased}\n`);
        if (failures.length > 0) throw failures[0];
      });
    },
  );
}

/** Erases all rituals that may be erased; a refusal does not stop the rest. */
async function eraseAll(
  datastore: Datastore,
  rituals: readonly RitualReference[],
): Promise<{ readonly erased: number; readonly failures: readonly unknown[] }> {
  const failures: unknown[] = [];
  // Revocations that run together erase the keys of one box in one step.
  for (let first = 0; first < rituals.length; first += AT_ONCE) {
    const part = rituals.slice(first, first + AT_ONCE);
    const results = await Promise.allSettled(part.map(({ id }) => datastore.deleteFragment(id)));
    failures.push(...results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : [])));
  }
  return { erased: rituals.length - failures.length, failures };
}

/** Years beyond 275760 have no ISO form. */
const isoTime = (timestamp: number): string =>
  timestamp <= 8_640_000_000_000 ? new Date(timestamp * 1000).toISOString() : '';
