import { Command } from 'commander';
import { exportAudit, showAudit } from '../audit/node-side.ts';
import { verifyFile } from '../audit/verify.ts';
import { addConfigOption } from '../shared/config-options.ts';

/** `latchkey audit`: the record of every key that a node gave. */
export function auditCommand(): Command {
  const audit = new Command('audit').description(
    'the record of every key that a node gave, and of what changed it',
  );
  addConfigOption(audit.command('show'), 'configuration file of the running node')
    .description('print the entries of a running node, newest last')
    .option('--last <n>', 'only the last n entries', Number)
    .action(showAudit);
  addConfigOption(audit.command('export'), 'configuration file of the running node')
    .description('write the log into a file that anybody can verify')
    .requiredOption('--out <file>', 'new file')
    .action(exportAudit);
  audit
    .command('verify')
    .description('verify an exported log, offline: exit 0 whole, 1 changed')
    .argument('<file>', 'the exported log')
    .option('--account <account>', 'the account whose log it must be')
    .option(
      '--head <sequence:hash...>',
      'heads that were seen before, as `latchkey status` of clients shows them',
    )
    .option('--json', 'print JSON')
    .action(verifyFile);
  return audit;
}
