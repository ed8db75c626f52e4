#!/usr/bin/env node
import type { Command } from 'commander';
import { commandTree, groupNames } from './command-tree.ts';
import { exitCodes, reportFailure } from './shared/failure.ts';

/** Misuse decides nothing, so it must not end like a refusal. */
function endMisuseAsFailed(command: Command): void {
  command.exitOverride((error) => process.exit(error.exitCode === 0 ? exitCodes.ok : exitCodes.failed));
  command.commands.forEach(endMisuseAsFailed);
}

async function main(argv: readonly string[]): Promise<void> {
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

// Decoding the chain's metadata leaves a timer of almost two seconds, which would delay every `unlock` of a disk.
void main(process.argv).catch(reportFailure).then(leave);
