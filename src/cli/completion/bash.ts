import { allCommands, type DescribedCommand } from './described-command.ts';

/**
 * A completion script for bash 4 or newer. It walks over the words before the cursor to find the command, skips the
 * values of options, and offers what can stand next. It never starts the program.
 */
export function bashCompletion(program: DescribedCommand): string {
  const commands = allCommands(program);
  const valued = new Set(
    commands.flatMap(({ options }) =>
      options.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names),
    ),
  );
  return `# bash completion of latchkey: source <(latchkey completion bash)
_latchkey_offer() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_latchkey_files() { compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }
_latchkey() {
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} at='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      ${[...valued].join(' | ')}) ((i++)); continue ;;
    esac
    case "$at \${COMP_WORDS[i]}" in
      ${commands
        .filter(({ path }) => path.length > 0)
        .map(({ path }) => `' ${path.join(' ')}'`)
        .join(' | ')}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at $before" in
${commands.flatMap(valueCases).join('\n')}
  esac
  case "$at" in
${commands.map(nextCase).join('\n')}
  esac
}
complete -F _latchkey latchkey
`;
}

const placeOf = ({ path }: DescribedCommand): string => path.map((word) => ` ${word}`).join('');

/** What follows an option that takes a value. */
function valueCases(command: DescribedCommand): readonly string[] {
  return command.options
    .filter(({ takesValue }) => takesValue)
    .map(({ names, choices, isPath }) => {
      const patterns = names.map((name) => `'${placeOf(command)} ${name}'`).join(' | ');
      const offer =
        choices.length > 0 ? `_latchkey_offer '${choices.join(' ')}'` : isPath ? '_latchkey_files' : ':';
      return `    ${patterns}) ${offer}; return ;;`;
    });
}

/** What can stand at a place where no value is expected. */
function nextCase(command: DescribedCommand): string {
  const options = command.options.flatMap(({ names }) => names.filter((name) => name.startsWith('--')));
  const words = [
    ...command.commands.map(({ path }) => path.at(-1)),
    ...command.args.flatMap(({ choices }) => choices),
  ];
  const offer = words.length > 0 ? `_latchkey_offer '${words.join(' ')}'` : undefined;
  const files = command.args.some(({ isPath }) => isPath) ? '_latchkey_files' : undefined;
  return `    '${placeOf(command)}') if [[ $cur == -* ]]; then _latchkey_offer '${options.join(' ')}'; else ${offer ?? files ?? ':'}; fi ;;`;
}
