import { createInterface } from 'node:readline/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { environmentVariables } from '../../config/environment.ts';
import type { Config } from '../../config/schema.ts';
import { readSecrets, wipeSecrets } from '../../config/secrets.ts';
import { RECOVER_CHOICES, templateWith } from '../../config/template.ts';
import {
  addConfigOption,
  addTrustRootOption,
  type ConfigOptions,
  type RootOptions,
  readConfig,
  readTrustRoot,
} from '../shared/config-options.ts';

interface CheckOptions extends ConfigOptions, RootOptions {
  readonly askChain?: true;
  readonly json?: true;
}

/** `latchkey config`: prints a commented configuration, or checks one. */
export function configCommand(): Command {
  const command = new Command('config').description('write and check configuration files');
  command
    .command('init')
    .description('print a commented configuration to standard output')
    .addOption(
      new Option('--recover <rule>', 'trust.platforms.recover; at a terminal it is asked for').choices(
        Object.keys(RECOVER_CHOICES),
      ),
    )
    .option('--nodes <count>', 'how many nodes the network has: chooses trust.minimumThreshold', nodeCount)
    .action(init);
  addTrustRootOption(addConfigOption(command.command('check')))
    .description('read a configuration as `serve` would, without starting; exit 0 when it is good')
    .option('--ask-chain', 'count the servers that the chain shows, and warn about the threshold')
    .option('--json', 'print the whole configuration with defaults and overrides as JSON')
    .action(check);
  command
    .command('environment')
    .description('list the environment variables that override a key')
    .action(() => {
      for (const [variable, key] of environmentVariables) console.log(`${variable.padEnd(36)} ${key}`);
    });
  return command;
}

/** Prints the configuration. Without an answer the choice stays a placeholder, which `serve` refuses. */
async function init({
  recover,
  nodes,
}: {
  readonly recover?: string;
  readonly nodes?: number;
}): Promise<void> {
  const chosen = recover ?? (process.stdin.isTTY && process.stderr.isTTY ? await askForRecover() : undefined);
  process.stdout.write(templateWith({ recover: isChoice(chosen) ? chosen : undefined, nodes }));
}

/** Alone a node has no server that could keep its key. */
function nodeCount(text: string): number {
  const count = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
  if (count < 2)
    throw new InvalidArgumentError('must be a whole number from 2: a node alone has no key server');
  return count;
}

const isChoice = (text: string | undefined): text is keyof typeof RECOVER_CHOICES =>
  text !== undefined && Object.hasOwn(RECOVER_CHOICES, text);

/** Asks on standard error: standard output is the file. */
async function askForRecover(): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  process.stderr.write('To whom do the key servers give the keys of a locked store back?\n');
  for (const [choice, meaning] of Object.entries(RECOVER_CHOICES))
    process.stderr.write(`  ${choice.padEnd(8)} ${meaning}\n`);
  try {
    return (await terminal.question('bound, endorsed or any (empty: decide later): ')).trim();
  } finally {
    terminal.close();
  }
}

async function check({ config: path, askChain, json, ...root }: CheckOptions): Promise<void> {
  const { configWarnings } = await import('../../config/config-warnings.ts');
  const { trustHash } = await import('../../trust/trust-hash.ts');
  const config = await readConfig(path);
  wipeSecrets(await readSecrets(config));
  const servers = askChain === true ? await countServers(config, root) : undefined;
  for (const warning of await configWarnings(config, servers)) process.stderr.write(`warning: ${warning}\n`);
  if (json === true) console.log(JSON.stringify(config));
  else console.log(`good; trust hash ${toPrefixedHex(trustHash(config.trust))}`);
}

async function countServers(config: Config, root: RootOptions): Promise<number> {
  // A whole node is loaded with it.
  const { buildParts } = await import('../../node/parts.ts');
  const { silentLog } = await import('../../observe/log.ts');
  const trustRoot = await readTrustRoot(root);
  const { chain, collateral } = buildParts(config, {
    log: silentLog,
    ...(trustRoot === undefined ? {} : { trustRoot }),
  });
  try {
    const { servers } = await chain.snapshot();
    return servers.filter(({ active }) => active).length;
  } finally {
    await chain[Symbol.asyncDispose]();
    await collateral.close();
  }
}
