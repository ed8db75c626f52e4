import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { loadConfig } from '../../config/load-config.ts';
import type { Config } from '../../config/schema.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { insecureTrustRoot, type TrustRoot } from '../../tdx/verify-quote.ts';

/** Turns what was typed into an absolute path. */
export const configFile = (text: string): string => resolve(text);

/** Options of commands that verify quotes. */
export interface RootOptions {
  readonly insecureTrustRoot?: string;
}

/** The one way to trust another root than Intel's: said on every start, never kept in a file. */
export const insecureRootOption = (): Option =>
  new Option(
    '--insecure-trust-root <pem>',
    'DEVELOPMENT ONLY: verify quotes up to this root certificate instead of Intel’s',
  );

/** Reads the injected root, if one was given. @throws ProblemError CONFIG_INVALID, TRUST_ROOT_INVALID. */
export async function readTrustRoot(options: RootOptions): Promise<TrustRoot | undefined> {
  if (options.insecureTrustRoot === undefined) return undefined;
  return insecureTrustRoot(await readText(options.insecureTrustRoot));
}

/** Reads a configuration file; paths in it are relative to its folder. @throws ProblemError CONFIG_INVALID. */
export async function readConfig(path: string): Promise<Config> {
  const config = loadConfig(await readText(path), process.env);
  const from = (relative: string): string => resolve(dirname(path), relative);
  const { cacheFolder } = config.collateral;
  const { socketPath } = config.agent;
  const { decryptions } = config;
  return {
    ...config,
    node: { ...config.node, dataFolder: from(config.node.dataFolder) },
    collateral: {
      ...config.collateral,
      ...(cacheFolder === undefined ? {} : { cacheFolder: from(cacheFolder) }),
    },
    agent: socketPath === undefined ? {} : { socketPath: from(socketPath) },
    ...(decryptions === undefined ? {} : { decryptions: withTokenFileFrom(decryptions, from) }),
  };
}

function withTokenFileFrom(
  decryptions: NonNullable<Config['decryptions']>,
  from: (relative: string) => string,
): NonNullable<Config['decryptions']> {
  const { writeAuthorization } = decryptions;
  if (writeAuthorization.kind !== 'bearer') return decryptions;
  const tokenFile = from(writeAuthorization.tokenFile);
  return { ...decryptions, writeAuthorization: { ...writeAuthorization, tokenFile } };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ProblemError('CONFIG_INVALID', `cannot read ${path}: ${reason}`, { field: path, cause });
  }
}

/** Options of commands that open the node's store. */
export interface OpeningOptions {
  readonly acceptRolledBackStore?: boolean;
}

/** Restoring an old copy on purpose is a human's decision, said on the start that it is for. */
export const acceptRolledBackOption = (): Option =>
  new Option(
    '--accept-rolled-back-store',
    'open the store although it is older than what the key servers remember; what was written since is lost',
  );

/** How often a command asks the key servers before it says that the store stays locked. */
export const attemptsOption = (): Option =>
  new Option('--attempts <n>', 'how often to try').default(1).argParser((text) => {
    const attempts = Number(text);
    if (Number.isSafeInteger(attempts) && attempts >= 1) return attempts;
    throw new InvalidArgumentError('must be a whole number from 1');
  });
