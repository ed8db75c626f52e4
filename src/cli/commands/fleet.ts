import { Command } from 'commander';
import type { KeygenOptions } from '../fleet/keygen.ts';
import type { DraftOptions, SignOptions } from '../fleet/papers.ts';
import { addStatus } from '../fleet/status/status.ts';
import { addConfigOption, type ConfigOptions } from '../shared/config-options.ts';

/** `latchkey fleet`: the signed manifest that says what may change in a fleet. Only `publish` and `status` talk to nodes. */
export function fleetCommand(): Command {
  const command = new Command('fleet').description(
    'the signed manifest that says what may change in a fleet, and the state of its nodes',
  );
  for (const add of [addKeygen, addDraft, addSign, addVerify, addShow, addPublish, addStatus]) add(command);
  return command;
}

// What each command needs is loaded when it runs.

/** `latchkey fleet keygen`: the keys of an authority, those of its successor, and the signed handover between them. */
function addKeygen(parent: Command): void {
  parent
    .command('keygen')
    .description(
      'make an authority: its keys, the keys of its successor, and the handover that is sealed away',
    )
    .requiredOption('--folder <dir>', 'an empty folder for the files of the keys; take them apart afterwards')
    .requiredOption('--genesis <hash>', 'hash of block 0 of the chain')
    .requiredOption('--password-file <file>', 'file with the password that seals the keys')
    .option('--keys <n>', 'how many keys', '3')
    .option('--threshold <n>', 'how many of them have to sign', '2')
    .action(async (options: KeygenOptions) => (await import('../fleet/keygen.ts')).keygen(options));
}

/** `latchkey fleet draft`: the next manifest, without signatures. */
function addDraft(parent: Command): void {
  addConfigOption(parent.command('draft'), 'configuration whose trust section names the authority')
    .description('write the next manifest, to be signed')
    .requiredOption('--out <file>', 'new file for the draft')
    .option('--from <file>', 'the manifest before it; the first one has none')
    .option('--content <file>', 'YAML or JSON: what the manifest accepts, see docs/fleet.md')
    .option(
      '--successor <file>',
      'YAML or JSON: id, threshold and keys of the authority that signs from now on',
    )
    .option('--accept-losses', 'write it although it takes access away')
    .option('--status <files...>', 'what `latchkey status --json` printed on each node of the fleet')
    .option('--chain', 'read from the chain which accounts need a status file')
    .option('--accept-unknown', 'write it although it takes platforms away and not every node was asked')
    .action(async (options: DraftOptions) => (await import('../fleet/papers.ts')).draft(options));
}

/** `latchkey fleet sign`: one more signature. */
function addSign(parent: Command): void {
  parent
    .command('sign <file>')
    .description('add the signature of one key, and show in words what is signed')
    .requiredOption('--key <file>', 'key file that keygen wrote')
    .requiredOption('--password-file <file>', 'file with the password of the key')
    .requiredOption('--out <file>', 'new file for the manifest with the signature')
    .action(async (path: string, options: SignOptions) =>
      (await import('../fleet/papers.ts')).sign(path, options),
    );
}

/** `latchkey fleet verify`: what a node of a configuration would make of manifests. */
function addVerify(parent: Command): void {
  addConfigOption(
    parent.command('verify <files...>'),
    'configuration whose trust section names the authority',
  )
    .description('take manifests one after the other, as a node would; exit 0 when it would take them all')
    .action(async (paths: readonly string[], options: ConfigOptions) =>
      (await import('../fleet/verify.ts')).verify(paths, options),
    );
}

/** `latchkey fleet show`: a manifest in words. */
function addShow(parent: Command): void {
  parent
    .command('show <file>')
    .description('say in words what a manifest accepts; verifies no signature')
    .action(async (path: string) => (await import('../fleet/show.ts')).show(path));
}

/** `latchkey fleet publish`: hands signed manifests to a node; its peers fetch them from there. */
function addPublish(parent: Command): void {
  addConfigOption(parent.command('publish <files...>'), 'configuration file of the running node')
    .description(
      'hand signed manifests to a running node, in their order; exit 0 when it has all of them, 1 when it refuses one',
    )
    .action(async (paths: readonly string[], options: ConfigOptions) =>
      (await import('../fleet/publish.ts')).publish(paths, options),
    );
}
