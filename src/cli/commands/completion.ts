import { Argument, Command } from 'commander';
import { bashCompletion } from '../completion/bash.ts';
import { describeCommands } from '../completion/described-command.ts';
import { fishCompletion } from '../completion/fish.ts';
import { zshCompletion } from '../completion/zsh.ts';

const shells = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
const names = ['bash', 'zsh', 'fish'] as const;

/** `latchkey completion`: a script for a shell, made from the commands of the program. @param load all of them. */
export function completionCommand(load: () => Promise<Command>): Command {
  return new Command('completion')
    .description('print a completion script: source <(latchkey completion bash)')
    .addArgument(new Argument('<shell>', 'for which shell').choices(names))
    .action(async (shell: (typeof names)[number]) => {
      process.stdout.write(shells[shell](describeCommands(await load())));
    });
}
