import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { FileSystem } from '../../disk/file-system.ts';
import { EvidenceError, ProblemError } from '../../errors/latchkey-error.ts';
import {
  formatRitualsConfig,
  parseRitualsConfig,
  type ReadRitualsConfig,
  RITUALS_CONFIG_VERSION,
  type RitualsConfig,
} from '../../rituals/ritual-config.ts';
import { prepareFile, putInPlace } from '../../store/files/files.ts';

/** Reads the configuration file of the ritual service, of any version. @throws ProblemError CONFIG_INVALID. */
export async function readRitualsConfigFile(path: string): Promise<ReadRitualsConfig> {
  return parseRitualsConfig(await readText(path));
}

/** Writes a new configuration file; it never replaces an existing one. @throws EvidenceError RITUALS_CONFIG_INVALID. */
export async function createRitualsConfigFile(
  fileSystem: FileSystem,
  path: string,
  config: RitualsConfig,
): Promise<void> {
  const file = resolve(path);
  const text = formatRitualsConfig(config);
  await requireNoRitualsConfigFile(fileSystem, file);
  await prepareFile(fileSystem, file, Buffer.from(text));
  await putInPlace(fileSystem, file);
}

/** @throws EvidenceError RITUALS_CONFIG_INVALID when there is a file. */
export async function requireNoRitualsConfigFile(fileSystem: FileSystem, path: string): Promise<void> {
  if ((await fileSystem.stat(resolve(path))) === undefined) return;
  throw new EvidenceError('RITUALS_CONFIG_INVALID', `${path} exists already`, {
    hint: 'use `latchkey rituals config` to change it',
  });
}

/**
 * Replaces the configuration file atomically. The file of an older version is kept as `<path>.v<version>`, which is
 * durable before the new file takes its place.
 */
export async function replaceRitualsConfigFile(
  fileSystem: FileSystem,
  path: string,
  config: RitualsConfig,
  foundVersion: number,
): Promise<void> {
  const file = resolve(path);
  const text = formatRitualsConfig(config);
  if (foundVersion !== RITUALS_CONFIG_VERSION) {
    const kept = `${file}.v${foundVersion}`;
    await prepareFile(fileSystem, kept, Buffer.from(await readText(file)));
    await putInPlace(fileSystem, kept);
  }
  await prepareFile(fileSystem, file, Buffer.from(text));
  await putInPlace(fileSystem, file);
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const observed = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new ProblemError('CONFIG_INVALID', `${path}: ${observed}`, { observed, cause });
  }
}
