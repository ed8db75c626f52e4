import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../../config/schema.ts';
import { refuseUnmeasuredInputs } from '../../config/unmeasured-environment.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import type { TrustRoot } from '../../tdx/verify-quote.ts';
import { agentSocketOf } from './agent-client.ts';

/** The option that names the configuration file; relative paths count from the present folder. */
export interface ConfigOptions {
  readonly config: string;
}

/** Adds `--config`. @param meaning for the help text. */
export const addConfigOption = (command: Command, meaning = 'configuration file'): Command =>
  command.requiredOption('--config <file>', meaning, (text) => resolve(text));

/** Options of commands that verify quotes. */
export interface RootOptions {
  readonly insecureTrustRoot?: string;
}

/** Adds the only way to trust another root than Intel's: given at every start, never kept in a file. */
export const addTrustRootOption = (command: Command): Command =>
  command.option(
    '--insecure-trust-root <pem>',
    'DEVELOPMENT ONLY: verify quotes up to this root certificate instead of Intel’s',
  );

/** Options of commands that open the node's store. */
export interface OpeningOptions extends ConfigOptions, RootOptions {
  readonly acceptRolledBackStore?: boolean;
}

/** Adds {@link OpeningOptions}. */
export const addOpeningOptions = (command: Command): Command =>
  addTrustRootOption(addConfigOption(command)).option(
    '--accept-rolled-back-store',
    'open the store although it is older than what the key servers remember; what was written since is lost',
  );

/**
 * Refuses variables and flags that change this process from outside, unless a development root was given.
 * @throws RefusalError ENVIRONMENT_REFUSED.
 */
export function requireMeasuredEnvironment({ insecureTrustRoot: root }: RootOptions): void {
  if (root === undefined) refuseUnmeasuredInputs(process.env, process.execArgv);
}

/** Reads the injected root, if one was given. @throws ProblemError CONFIG_INVALID, TRUST_ROOT_INVALID. */
export async function readTrustRoot(options: RootOptions): Promise<TrustRoot | undefined> {
  if (options.insecureTrustRoot === undefined) return undefined;
  // The verifier takes long to load, and most commands need none.
  const { insecureTrustRoot } = await import('../../tdx/verify-quote.ts');
  return insecureTrustRoot(await readText(options.insecureTrustRoot));
}

/** Written in place of a path where nothing is to be kept on the disk. */
const NO_FOLDER = 'none';

/** Reads a configuration file; paths in it are relative to its folder. @throws ProblemError CONFIG_INVALID. */
export async function readConfig(path: string): Promise<Config> {
  return parseConfig(await readText(path), path);
}

/**
 * Reads the text of a configuration file.
 * @param path of the file: paths in it are relative to its folder.
 * @throws ProblemError CONFIG_INVALID.
 */
export async function parseConfig(text: string, path: string): Promise<Config> {
  // Schemas take long to load; a command that only prints its help needs none.
  const { loadConfig } = await import('../../config/load-config.ts');
  const config = loadConfig(text, process.env);
  const from = (relative: string): string => resolve(dirname(path), relative);
  const { cacheFolder = join(config.node.dataFolder, 'collateral'), ...collateral } = config.collateral;
  const { socketPath } = config.agent;
  const { decryptions } = config;
  const { location } = config.backup;
  const read = {
    ...config,
    fleet: { ...config.fleet, files: config.fleet.files.map(from) },
    node: { ...config.node, dataFolder: from(config.node.dataFolder) },
    collateral: cacheFolder === NO_FOLDER ? collateral : { ...collateral, cacheFolder: from(cacheFolder) },
    agent: { ...config.agent, ...(socketPath === undefined ? {} : { socketPath: from(socketPath) }) },
    backup: location === undefined ? {} : { location: from(location) },
    ...(decryptions === undefined ? {} : { decryptions: withTokenFileFrom(decryptions, from) }),
  };
  requireSocketPath(agentSocketOf(read));
  return read;
}

/** `sun_path` of a Unix socket's address has 108 bytes, with a zero at its end. */
const MAX_SOCKET_PATH_BYTES = 107;

function requireSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_SOCKET_PATH_BYTES) return;
  throw new ProblemError('CONFIG_INVALID', `agent.socketPath: ${path} is too long for a Unix socket`, {
    field: 'agent.socketPath',
    expected: `at most ${MAX_SOCKET_PATH_BYTES} bytes`,
    observed: `${bytes} bytes`,
    hint: 'choose a shorter path, such as /run/latchkey/agent.sock',
  });
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

/** The text of a file. @throws ProblemError CONFIG_INVALID. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ProblemError('CONFIG_INVALID', `cannot read ${path}: ${reason}`, { field: path, cause });
  }
}

/** How often a command asks the key servers before it says that the store stays locked. */
export const attemptsOption = (): Option =>
  new Option('--attempts <n>', 'how often to try').default(1).argParser((text) => {
    const attempts = Number(text);
    if (Number.isSafeInteger(attempts) && attempts >= 1) return attempts;
    throw new InvalidArgumentError('must be a whole number from 1');
  });
