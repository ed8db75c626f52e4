import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { passwordWarnings, permissionWarnings } from '../../config/file-permissions.ts';
import {
  type DecryptionsConfig,
  type EtcdSettings,
  ignoredVariables,
  loadDecryptionsConfig,
  loadRocketConfig,
  type RocketConfig,
} from '../../decryptions/decryptions-config.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { startDecryptionsServer } from '../shared/decryptions-server.ts';
import { exitCodes, reportFailure } from '../shared/failure.ts';
import { watchProcess } from '../shared/process-faults.ts';
import { surviveStraySignals } from '../shared/stray-signals.ts';
import { terminationSignal } from '../shared/termination-signal.ts';
import { print, processIo, type StoreIo } from '../store/io.ts';

interface ConfigOptions {
  readonly config?: string;
  readonly profile?: string;
}

/** `latchkey decryptions`: the decryption service on a listener of its own. */
export function decryptionsCommand(io: StoreIo = processIo()): Command {
  const decryptions = new Command('decryptions').description('decryption results with wait-for-put');
  configurable(decryptions, 'serve', 'serve GET and PUT /decryption/<64 hex digits> until SIGTERM').action(
    (options: ConfigOptions) => serve(io, options),
  );
  configurable(
    decryptions,
    'config',
    'print the configuration as it results from file and environment',
  ).action(async (options: ConfigOptions) => {
    const config = await load(io, options);
    await print(io.stdout, `${JSON.stringify(config, null, 2)}\n`);
  });
  return decryptions;
}

const configurable = (parent: Command, name: string, description: string): Command =>
  parent
    .command(name)
    .description(description)
    .option(
      '--config <file>',
      'YAML file with the sections default, debug, release, testing; or Rocket.toml of the original (FILE.toml)',
    )
    .option('--profile <name>', 'debug, release or testing (default: DECRYPTIONS_PROFILE, else release)');

/** The file that the original finds by itself. */
const ROCKET_FILE = 'Rocket.toml';

/** Reads file and environment, and prints warnings: what has no effect, files of secrets that others can read. */
async function load(io: StoreIo, { config: file, profile }: ConfigOptions): Promise<DecryptionsConfig> {
  // Before anything can fail: a setting that is missing may be in this file.
  if (file === undefined && (await stat(ROCKET_FILE).catch(() => undefined)) !== undefined)
    io.stderr.write(
      `warning: ${resolve(ROCKET_FILE)} is not read: --config ${ROCKET_FILE} reads it, --config FILE another one\n`,
    );
  const text = file === undefined ? '' : await readText(file);
  const { config, ignored } = file?.toLowerCase().endsWith('.toml')
    ? loadRocketConfig(text, process.env, profile)
    : ({ config: loadDecryptionsConfig(text, process.env, profile), ignored: [] } satisfies RocketConfig);
  const warnings = [
    ...ignoredVariables(process.env).map((name) => `${name} has no effect here`),
    ...ignored.map((setting) => `${setting} of ${file} has no effect here`),
    ...(await secretWarnings(config)),
  ];
  for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`);
  return config;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ProblemError('CONFIG_INVALID', `${path} cannot be read`, { cause });
  }
}

async function serve(io: StoreIo, options: ConfigOptions): Promise<void> {
  const terminated = terminationSignal();
  surviveStraySignals((signal) =>
    io.stderr.write(`latchkey: decryptions: ${signal} does not end the service\n`),
  );
  const config = await load(io, options);
  const broken = watchProcess((fault, error) => {
    if (fault !== 'output') reportRequestFailure(error);
  }).then(() => {
    process.exitCode = exitCodes.failed;
  });
  const server = await startDecryptionsServer(config, reportRequestFailure);
  if (config.writeAuthorization.kind === 'open')
    io.stderr.write(
      'latchkey: decryptions: everybody who reaches this listener may write (writeAuthorization)\n',
    );
  await print(
    io.stdout,
    `${JSON.stringify({ ready: true, url: server.url, metricsUrl: server.metricsUrl })}\n`,
  );
  await Promise.race([terminated, broken]);
  await server.close();
}

/** Files of secrets that others can read, a password that is easy to guess, and an etcd that anybody can answer for. */
async function secretWarnings(config: DecryptionsConfig): Promise<readonly string[]> {
  const { passwordFile, writeAuthorization, engine } = config;
  const files: readonly (readonly [string, string | undefined])[] = [
    ['passwordFile', passwordFile],
    [
      'writeAuthorization.tokenFile',
      writeAuthorization.kind === 'bearer' ? writeAuthorization.tokenFile : undefined,
    ],
    ['engine.etcd.user.passwordFile', engine?.etcd.user?.passwordFile],
    ['engine.etcd.tls.keyFile', engine?.etcd.tls?.keyFile],
  ];
  const warnings: string[] = [];
  for (const [key, path] of files) {
    if (path === undefined) continue;
    warnings.push(...(await permissionWarnings(key, path)));
    const found = key === 'passwordFile' ? await stat(path).catch(() => undefined) : undefined;
    if (found !== undefined) warnings.push(...passwordWarnings(key, found.size));
  }
  if (engine !== undefined) warnings.push(...plainHttpWarnings(engine.etcd));
  return warnings;
}

const LOOPBACK = /^http:\/\/(127\.[0-9.]+|localhost|\[::1\]):/;

function plainHttpWarnings({ endpoints }: EtcdSettings): readonly string[] {
  return endpoints
    .filter((endpoint) => endpoint.startsWith('http:') && !LOOPBACK.test(endpoint))
    .map(
      (endpoint) =>
        `engine.etcd.endpoints: ${endpoint} has no TLS, so the network in between can change results and read the password`,
    );
}

/** Reports a failed request. The service continues, so the exit code does not change. */
function reportRequestFailure(error: unknown, requestId?: string): void {
  const before = process.exitCode;
  if (requestId !== undefined) process.stderr.write(`latchkey: request ${requestId} failed:\n`);
  reportFailure(error);
  process.exitCode = before;
}
