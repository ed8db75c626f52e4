#!/usr/bin/env node
import type { Command } from 'commander';
import { exitCodes, reportFailure } from './shared/failure.ts';
import { programVersion } from './shared/version.ts';

/** The command groups; each file is loaded only when its command runs, so that `latchkey quote` starts fast. */
const groups: Readonly<Record<string, () => Promise<Command>>> = {
  abandon: async () => (await import('./commands/abandon.ts')).abandonCommand(),
  audit: async () => (await import('./commands/audit.ts')).auditCommand(),
  backup: async () => (await import('./commands/backup.ts')).backupCommand(),
  collateral: async () => (await import('./commands/collateral.ts')).collateralCommand(),
  conformance: async () => (await import('./commands/conformance.ts')).conformanceCommand(),
  custody: async () => (await import('./commands/custody.ts')).custodyCommand(),
  decryptions: async () => (await import('./commands/decryptions.ts')).decryptionsCommand(),
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  drain: async () => (await import('./commands/drain.ts')).drainCommand(),
  epochs: async () => (await import('./commands/epochs.ts')).epochsCommand(),
  fleet: async () => (await import('./commands/fleet.ts')).fleetCommand(),
  luks: async () => (await import('./commands/luks.ts')).luksCommand(),
  quote: async () => (await import('./commands/quote.ts')).quoteCommand(),
  rituals: async () => (await import('./commands/rituals.ts')).ritualsCommand(),
  config: async () => (await import('./commands/config.ts')).configCommand(),
  restore: async () => (await import('./commands/restore.ts')).restoreCommand(),
  rotate: async () => (await import('./commands/rotate.ts')).rotateCommand(),
  'accept-rollback': async () => (await import('./commands/accept-rollback.ts')).acceptRollbackCommand(),
  secret: async () => (await import('./commands/secret.ts')).secretCommand(),
  serve: async () => (await import('./commands/serve.ts')).serveCommand(),
  store: async () => (await import('./commands/store.ts')).storeCommand(),
  status: async () => (await import('./commands/status.ts')).statusCommand(),
  trust: async () => (await import('./commands/trust.ts')).trustCommand(),
  unlock: async () => (await import('./commands/unlock.ts')).unlockCommand(),
};

/** Misuse decides nothing, so it must not end like a refusal. */
function endMisuseAsFailed(command: Command): void {
  command.exitOverride((error) => process.exit(error.exitCode === 0 ? exitCodes.ok : exitCodes.failed));
  command.commands.forEach(endMisuseAsFailed);
}

async function main(argv: readonly string[]): Promise<void> {
  // Loading the commands takes most of a second.
  if (argv.length === 3 && argv[2] === '--version') {
    process.stdout.write(`${programVersion()}\n`);
    return;
  }
  const { Command } = await import('commander');
  const program = new Command('latchkey')
    .description('Key server for networks of confidential VMs')
    .version(programVersion(), '--version', 'print the version')
    .showHelpAfterError();
  const wanted = argv[2];
  const chosen = wanted !== undefined && Object.hasOwn(groups, wanted) ? [wanted] : Object.keys(groups);
  for (const name of chosen) {
    const load = groups[name];
    if (load !== undefined) program.addCommand(await load());
  }
  endMisuseAsFailed(program);
  await program.parseAsync([...argv]);
}

/** Ends the process when its output has been read completely, although libraries may still hold timers. */
async function leave(): Promise<void> {
  // To write, even nothing, where the reader has gone away would be a failure.
  for (const stream of [process.stdout, process.stderr])
    if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write('', () => resolve()));
  process.exit();
}

// Decoding the chain's metadata leaves a timer of almost two seconds, which would delay every `unlock` of a disk.
void main(process.argv).catch(reportFailure).then(leave);
