import { Command } from 'commander';
import { programVersion } from './shared/version.ts';

/** The command groups; each file is loaded only when its command runs, so that `latchkey quote` starts fast. */
const groups: Readonly<Record<string, () => Promise<Command>>> = {
  abandon: async () => (await import('./commands/abandon.ts')).abandonCommand(),
  'accept-rollback': async () => (await import('./commands/accept-rollback.ts')).acceptRollbackCommand(),
  audit: async () => (await import('./commands/audit.ts')).auditCommand(),
  backup: async () => (await import('./commands/backup.ts')).backupCommand(),
  collateral: async () => (await import('./commands/collateral.ts')).collateralCommand(),
  completion: async () => (await import('./commands/completion.ts')).completionCommand(() => commandTree()),
  config: async () => (await import('./commands/config.ts')).configCommand(),
  conformance: async () => (await import('./commands/conformance.ts')).conformanceCommand(),
  custody: async () => (await import('./commands/custody.ts')).custodyCommand(),
  decryptions: async () => (await import('./commands/decryptions.ts')).decryptionsCommand(),
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  drain: async () => (await import('./commands/drain.ts')).drainCommand(),
  epochs: async () => (await import('./commands/epochs.ts')).epochsCommand(),
  fleet: async () => (await import('./commands/fleet.ts')).fleetCommand(),
  luks: async () => (await import('./commands/luks.ts')).luksCommand(),
  quote: async () => (await import('./commands/quote.ts')).quoteCommand(),
  restore: async () => (await import('./commands/restore.ts')).restoreCommand(),
  rituals: async () => (await import('./commands/rituals.ts')).ritualsCommand(),
  rotate: async () => (await import('./commands/rotate.ts')).rotateCommand(),
  secret: async () => (await import('./commands/secret.ts')).secretCommand(),
  serve: async () => (await import('./commands/serve.ts')).serveCommand(),
  status: async () => (await import('./commands/status.ts')).statusCommand(),
  store: async () => (await import('./commands/store.ts')).storeCommand(),
  trust: async () => (await import('./commands/trust.ts')).trustCommand(),
  unlock: async () => (await import('./commands/unlock.ts')).unlockCommand(),
};

/** The names of all command groups, such as `serve` and `fleet`. */
export const groupNames: readonly string[] = Object.keys(groups);

/** The program with some of its command groups; all of them where none are named. */
export async function commandTree(names: readonly string[] = groupNames): Promise<Command> {
  const program = new Command('latchkey')
    .description('Key server for networks of confidential VMs')
    .version(programVersion(), '--version', 'print the version')
    .showHelpAfterError('`latchkey --help` lists the commands');
  for (const name of names) {
    const load = groups[name];
    if (load !== undefined) program.addCommand(await load());
  }
  return program;
}
