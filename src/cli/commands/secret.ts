import { Command, InvalidArgumentError } from 'commander';
import { PLACEHOLDER } from '../../secrets/relay/outgoing-request.ts';
import { requestWithSecret } from '../secrets/use.ts';
import { deleteSecret, listSecrets, makeUserKey, writeSecret } from '../secrets/write.ts';
import { addConfigOption, addTrustRootOption } from '../shared/config-options.ts';

/** `latchkey secret`: for users of the ring. Each node is attested before anything is sealed to it. */
export function secretCommand(): Command {
  const secret = new Command('secret').description('leave secrets with the ring, and use them through it');
  secret
    .command('keygen')
    .description('make the key of a user')
    .requiredOption('--out <file>', 'new file for the seed of the account, 0x hex')
    .action(makeUserKey);
  for (const route of ['deploy', 'update'] as const) {
    userCommand(secret, route, route === 'deploy' ? 'leave a secret' : 'replace a secret')
      .requiredOption('--url <url>', 'origin and path below which the secret is used')
      .requiredOption('--value <file>', 'file with the value, - for standard input')
      .requiredOption('--acl <file>', 'file with the ACL, JSON (docs/secrets.md)')
      .option('--days <n>', 'days until the secret expires', days, 365)
      .action((options) => writeSecret(route, options));
  }
  userCommand(secret, 'delete', 'delete a secret')
    .requiredOption('--url <url>', 'origin and path of the secret')
    .option('--days <n>', 'days for which the deletion is remembered', days, 365)
    .action(deleteSecret);
  userCommand(secret, 'list', 'show secrets: ids and versions, no values').action(listSecrets);
  userCommand(secret, 'request', `make a request; ${PLACEHOLDER} stands for the secret`)
    .requiredOption('--secret <url>', 'origin and path of the secret')
    .requiredOption('--url <url>', 'URL of the request')
    .option('--owner <account>', 'whose secret it is; default: the own one')
    .option('--verb <verb>', 'GET, POST …', 'GET')
    .option('--header <header...>', 'name: value')
    .option('--body <file>', 'file with the body, - for standard input')
    .option('--idempotency-key <hex>', '16 bytes: the same key once more makes no second request')
    .option('--include', 'status and headers of the answer on standard error')
    .action(requestWithSecret);
  return secret;
}

const userCommand = (parent: Command, name: string, description: string): Command =>
  addTrustRootOption(addConfigOption(parent.command(name), 'own copy of the fleet’s configuration'))
    .description(description)
    .requiredOption('--key <file>', 'file with the seed of the account, 0x hex')
    .option('--measurement <id>', 'image that the nodes run, 0x hex, from a source of your own');

function days(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1 && value <= 3650) return value;
  throw new InvalidArgumentError('must be a whole number from 1 to 3650');
}
