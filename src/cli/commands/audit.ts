import { Command } from 'commander';
import type { VerifyOptions } from '../audit/verify.ts';
import { addConfigOption, type ConfigOptions } from '../shared/config-options.ts';

/** `latchkey audit`: the record of every key that a node gave. */
export function auditCommand(): Command {
  const audit = new Command('audit').description(
    'the record of every key that a node gave, and of what changed it',
  );
  addConfigOption(audit.command('show'), 'configuration file of the running node')
    .description('print the entries of a running node, newest last')
    .option('--last <n>', 'only the last n entries', Number)
    .action(async (options: ConfigOptions & { readonly last?: number }) =>
      (await nodeSide()).showAudit(options),
    );
  addConfigOption(audit.command('export'), 'configuration file of the running node')
    .description('write the log into a file that anybody can verify')
    .requiredOption('--out <file>', 'new file')
    .action(async (options: ConfigOptions & { readonly out: string }) =>
      (await nodeSide()).exportAudit(options),
    );
  addConfigOption(audit.command('heads'), 'configuration file of the running node')
    .description('print the heads of the logs of this node’s servers, as JSON for `verify --heads`')
    .action(async (options: ConfigOptions) => (await nodeSide()).showHeads(options));
  audit
    .command('verify')
    .description('verify an exported log, offline: exit 0 whole, 1 changed')
    .argument('<file>', 'the exported log')
    .option('--account <account>', 'the account whose log it must be')
    .option('--head <sequence:hash...>', 'heads of this log that were seen before')
    .option(
      '--heads <file...>',
      'output of `latchkey audit heads` of clients; heads of other servers do not count',
    )
    .option('--json', 'print JSON')
    .action(async (path: string, options: VerifyOptions) =>
      (await import('../audit/verify.ts')).verifyFile(path, options),
    );
  return audit;
}

const nodeSide = () => import('../audit/node-side.ts');
