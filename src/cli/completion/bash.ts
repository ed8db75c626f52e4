import {
  allCommands,
  type DescribedCommand,
  longNames,
  nextWords,
  placeOf,
  quotedPlaces,
  takesPath,
  valuedNames,
} from './described-command.ts';

/**
 * A completion script for bash 4 or newer. It walks over the words before the cursor to find the command, skips the
 * values of options, and offers what can stand next. It never starts the program.
 */
export function bashCompletion(program: DescribedCommand): string {
  const commands = allCommands(program);
  return `# bash completion of latchkey: source <(latchkey completion bash)
_latchkey_offer() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_latchkey_files() { compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }
_latchkey() {
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} at='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      ${valuedNames(commands).join(' | ')}) ((i++)); continue ;;
    esac
    case "$at \${COMP_WORDS[i]}" in
      ${quotedPlaces(commands).join(' | ')}) at="$at \${COMP_WORDS[i]}" ;;
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
  const options = command.options.flatMap(longNames);
  const words = nextWords(command).map(({ word }) => word);
  const files = takesPath(command) ? '_latchkey_files' : ':';
  const rest = words.length > 0 ? `_latchkey_offer '${words.join(' ')}'` : files;
  return `    '${placeOf(command)}') if [[ $cur == -* ]]; then _latchkey_offer '${options.join(' ')}'; else ${rest}; fi ;;`;
}
