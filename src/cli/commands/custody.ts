import { Command, Option } from 'commander';
import { answerRequest } from '../custody/answer.ts';
import { checkCopy } from '../custody/check.ts';
import { makeKeyFile } from '../custody/key-file.ts';
import { openByAnswers, requestOfNode } from '../custody/node-side.ts';
import { updateOptions } from '../quote/inputs.ts';
import { addConfigOption, addTrustRootOption } from '../shared/config-options.ts';

/** `latchkey custody`: gets stores back after a total blackout, with the parts of custodians. */
export function custodyCommand(): Command {
  const custody = new Command('custody').description(
    'open stores with parts of custodians, when too many key servers lost their memory',
  );
  keyOptions(custody.command('keygen').description('make the key pair of a custodian'))
    .requiredOption('--out <file>', 'new file for the key, sealed under the passphrase')
    .action(makeKeyFile);
  addConfigOption(custody.command('request'), 'configuration file of the locked, running node')
    .description('make a request of a locked node to its custodians; a restart of the node voids it')
    .option('--out <file>', 'new file for the request; default: standard output')
    .option('--generation <n>', 'open by this generation of slots; default: the newest', Number)
    .action(requestOfNode);
  const [update, evaluationNumber] = updateOptions('collateral');
  const answer = custody
    .command('answer')
    .description('verify a request, show who asks, and seal the own part to it: exit 0 answered, 1 refused');
  keyOptions(addTrustRootOption(addConfigOption(answer, 'own copy of the fleet’s configuration')))
    .requiredOption('--key <file>', 'key file of the custodian')
    .requiredOption('--request <file>', 'the request')
    .option('--measurement <id...>', 'ids of the fleet’s images, 0x hex, from a source of your own')
    .option(
      '--manifest <file...>',
      'own copies of fleet manifests, in their order: what they accept and revoke',
    )
    .option(
      '--accept-platform <hash>',
      'answer although the parts were made on another platform than this one, SHA-256(PPID) as 0x hex',
    )
    .option('--collateral <file>', 'a collateral set, JSON')
    .addOption(new Option('--pccs <url...>', 'fetch the collateral instead').conflicts('collateral'))
    .addOption(update)
    .addOption(evaluationNumber)
    .option('--now <time>', 'judge as of this ISO 8601 time instead of now')
    .option('--journal <file>', 'journal of answers; default: the key file’s name and .journal')
    .option('--confirm <account>', 'the account to answer, instead of the question')
    .option('--out <file>', 'new file for the answer; default: standard output')
    .action(answerRequest);
  keyOptions(custody.command('check').description('see that the own part in a copied keyslot file opens'))
    .requiredOption('--key <file>', 'key file of the custodian')
    .requiredOption('--keyslots <file>', 'copy of the keyslot file of a node')
    .action(checkCopy);
  addConfigOption(custody.command('open'), 'configuration file of the locked, running node')
    .description('give the answers of custodians to the node that asked')
    .argument('<answers...>', 'files with answers')
    .option('--force', 'although t key servers can still give their keys; the log keeps it')
    .action(openByAnswers);
  return custody;
}

const keyOptions = (command: Command): Command =>
  command.requiredOption(
    '--password-file <file>',
    'file with the passphrase of the key; a final newline is ignored',
  );
