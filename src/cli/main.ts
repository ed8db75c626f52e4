#!/usr/bin/env node
import type { Command } from 'commander';
import { exitCodes, reportFailure } from './shared/failure.ts';
import { programVersion } from './shared/version.ts';

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
  const { commandTree, groupNames } = await import('./command-tree.ts');
  const wanted = argv[2];
  const program = await commandTree(
    wanted !== undefined && groupNames.includes(wanted) ? [wanted] : groupNames,
  );
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

// A timer or an open connection of a library must not delay a command, least of all `unlock` in the start of a machine.
void main(process.argv).catch(reportFailure).then(leave);
