import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** Version that this program writes. */
export const RITUALS_CONFIG_VERSION = 3;

const path = z.string().min(1).refine(isAbsolute, 'must be an absolute path');

/** The first version: flat, and without a place for backups. */
const version1 = z.strictObject({
  version: z.literal(1).optional(),
  db_path: path,
  password_file: path,
});

/** The second version: every ritual without conditions was permitted. */
const version2 = z.strictObject({
  version: z.literal(2),
  store: z.strictObject({ path, passwordFile: path }),
  backup: z.strictObject({ location: path }),
});

const version3 = version2.extend({
  version: z.literal(RITUALS_CONFIG_VERSION),
  conditions: z.strictObject({ required: z.boolean() }),
});

/** Where a node keeps its ritual fragments, where their backup goes, and what permits their use. */
export interface RitualsConfig {
  readonly version: typeof RITUALS_CONFIG_VERSION;
  readonly store: { readonly path: string; readonly passwordFile: string };
  readonly backup: { readonly location: string };
  /** With `required`, only what the conditions of a ritual state is permitted. */
  readonly conditions: { readonly required: boolean };
}

/** A configuration as read: migrated to the present version, and whether it had to be. */
export interface ReadRitualsConfig {
  readonly config: RitualsConfig;
  /** The version that was found. */
  readonly foundVersion: number;
}

/** Default place of the backup: in the folder that holds the store. */
export const defaultBackupLocation = (storePath: string): string =>
  join(dirname(storePath), 'rituals.backup');

/** Migrations, by the version that they start from; each leads to the next version. */
const migrations: Readonly<Record<number, (older: unknown) => unknown>> = {
  1: (older) => {
    const { db_path, password_file } = check(version1, older);
    return {
      version: 2,
      store: { path: db_path, passwordFile: password_file },
      backup: { location: defaultBackupLocation(db_path) },
    };
  },
  2: (older) => ({ ...check(version2, older), version: 3, conditions: { required: false } }),
};

/**
 * Reads a configuration file of this or an older version.
 * @throws EvidenceError RITUALS_CONFIG_INVALID naming the place, or RITUALS_CONFIG_VERSION for a newer one.
 */
export function parseRitualsConfig(text: string): ReadRitualsConfig {
  let value = parseJson(text);
  const foundVersion = versionOf(value);
  for (let version = foundVersion; version < RITUALS_CONFIG_VERSION; version += 1) {
    value = migrations[version]?.(value);
  }
  return { config: check(version3, value), foundVersion };
}

/** The text of a configuration file. @throws EvidenceError RITUALS_CONFIG_INVALID naming the place. */
export const formatRitualsConfig = (config: RitualsConfig): string =>
  `${JSON.stringify(check(version3, config), null, 2)}\n`;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EvidenceError('RITUALS_CONFIG_INVALID', 'the configuration is not JSON', { cause });
  }
}

/** The first files had no version. */
function versionOf(value: unknown): number {
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : 1;
  if (
    typeof version === 'number' &&
    Number.isInteger(version) &&
    version >= 1 &&
    version <= RITUALS_CONFIG_VERSION
  )
    return version;
  throw new EvidenceError('RITUALS_CONFIG_VERSION', `version ${String(version)} is not known`, {
    field: 'version',
    expected: `1 to ${RITUALS_CONFIG_VERSION}`,
    observed: String(version),
    hint: 'a newer latchkey has written this file',
  });
}

function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const place = issue?.path.join('.') ?? '';
  throw new EvidenceError(
    'RITUALS_CONFIG_INVALID',
    `${place === '' ? 'configuration' : place}: ${issue?.message}`,
    {
      field: place,
    },
  );
}
