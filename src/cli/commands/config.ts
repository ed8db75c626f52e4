import { Command } from 'commander';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { environmentVariables } from '../../config/environment.ts';
import type { Config } from '../../config/schema.ts';
import { readSecrets, wipeSecrets } from '../../config/secrets.ts';
import { configTemplate } from '../../config/template.ts';
import { thresholdWarning } from '../../keyslots/threshold.ts';
import { chainOf } from '../../node/parts.ts';
import { silentLog } from '../../observe/log.ts';
import { systemClock, withDeadline } from '../../time/clock.ts';
import { trustHash } from '../../trust/trust-hash.ts';
import { configFile, readConfig } from '../shared/node-options.ts';

/** How long `config check` waits for the chain. */
const CHAIN_DEADLINE_MS = 3_000;

/** `latchkey config`: prints a commented configuration, or checks one. */
export function configCommand(): Command {
  const command = new Command('config').description('write and check configuration files');
  command
    .command('init')
    .description('print a commented configuration to standard output')
    .action(() => {
      process.stdout.write(configTemplate);
    });
  command
    .command('check')
    .description('read a configuration as `serve` would, without starting; exit 0 when it is good')
    .requiredOption('--config <file>', 'configuration file', configFile)
    .option('--json', 'print the whole configuration with defaults and overrides as JSON')
    .action(async ({ config: path, json }: { readonly config: string; readonly json?: boolean }) => {
      const config = await readConfig(path);
      wipeSecrets(await readSecrets(config));
      if (json === true) console.log(JSON.stringify(config));
      else console.log(`good; trust hash ${toPrefixedHex(trustHash(config.trust))}`);
      for (const line of await chainWarnings(config)) console.error(`latchkey: warning: ${line}`);
    });
  command
    .command('environment')
    .description('list the environment variables that override a key')
    .action(() => {
      for (const [variable, key] of environmentVariables) console.log(`${variable.padEnd(36)} ${key}`);
    });
  return command;
}

/** What the chain, where it can be read, shows to be unwise in a configuration. */
async function chainWarnings(config: Config): Promise<readonly string[]> {
  await using chain = chainOf(config, silentLog, systemClock);
  const reading = withDeadline(systemClock, CHAIN_DEADLINE_MS, () => chain.snapshot());
  const snapshot = await reading.catch(() => undefined);
  if (snapshot === undefined) return ['the chain cannot be read now, so nothing was compared with it'];
  const active = snapshot.servers.filter((server) => server.active).length;
  const warning = thresholdWarning(config.trust.minimumThreshold, active);
  return warning === undefined ? [] : [warning];
}
