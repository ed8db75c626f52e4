import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../config/schema.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { systemCode } from '../../store/files/disk-failure.ts';

/** Names sort as their times do. */
const NAME = /^store-\d{8}T\d{6}Z$/;

/** Where a backup without a named file goes. @throws ProblemError CONFIG_INVALID without `backup.location`. */
export const newBackupPath = (config: Config, now: Date): string =>
  join(locationOf(config, 'to'), `store-${now.toISOString().replaceAll(/[-:]|\.\d+/g, '')}`);

/**
 * The newest backup in `backup.location`, by its name.
 * @throws ProblemError CONFIG_INVALID without `backup.location`, INPUT_UNREADABLE when there is no such folder, or no
 *   backup in it.
 */
export async function newestBackupPath(config: Config): Promise<string> {
  const location = locationOf(config, 'from');
  const names = await readdir(location).catch((cause: unknown) => {
    throw unreadable(location, systemCode(cause) ?? 'unreadable', cause);
  });
  const newest = names
    .filter((name) => NAME.test(name))
    .sort()
    .at(-1);
  if (newest === undefined) throw unreadable(location, 'there is no file named store-<time>');
  return join(location, newest);
}

function locationOf({ backup }: Config, option: string): string {
  if (backup.location !== undefined) return backup.location;
  throw new ProblemError(
    'CONFIG_INVALID',
    `the configuration names no backup.location, and --${option} is not given`,
    {
      field: 'backup.location',
      hint: `give --${option} FILE, or set backup.location`,
    },
  );
}

const unreadable = (location: string, why: string, cause?: unknown): ProblemError =>
  new ProblemError('INPUT_UNREADABLE', `backup.location ${location}: ${why}`, {
    field: 'backup.location',
    cause,
  });
