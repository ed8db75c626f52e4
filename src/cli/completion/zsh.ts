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

/** A completion script for zsh, with descriptions; for a file `_latchkey` in \`fpath\`, or to be sourced. */
export function zshCompletion(program: DescribedCommand): string {
  const commands = allCommands(program);
  return `#compdef latchkey
# zsh completion of latchkey: source <(latchkey completion zsh), after compinit
_latchkey() {
  local at='' before=$words[CURRENT-1] i
  local -a offers
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      ${valuedNames(commands).map(group).join('|')}) ((i++)); continue ;;
    esac
    case "$at $words[i]" in
      ${quotedPlaces(commands).map(group).join('|')}) at="$at $words[i]" ;;
    esac
  done
  case "$at $before" in
${commands.flatMap(valueCases).join('\n')}
  esac
  case "$at" in
${commands.map(nextCase).join('\n')}
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _latchkey "$@"; else compdef _latchkey latchkey; fi
`;
}

const group = (pattern: string): string => `(${pattern})`;

/** `name:description` in single quotes, as \`_describe\` reads it. */
const offerOf = (name: string, description: string): string =>
  `'${`${name.replaceAll(':', '\\\\:')}:${description}`.replaceAll("'", "'\\''").replaceAll('\n', ' ')}'`;

function valueCases(command: DescribedCommand): readonly string[] {
  return command.options
    .filter(({ takesValue }) => takesValue)
    .map(({ names, choices, isPath }) => {
      const patterns = names.map((name) => group(`'${placeOf(command)} ${name}'`)).join('|');
      const offer = choices.length > 0 ? `compadd -- ${choices.join(' ')}` : isPath ? '_files' : ':';
      return `    ${patterns}) ${offer}; return ;;`;
    });
}

function nextCase(command: DescribedCommand): string {
  const options = command.options.flatMap((option) =>
    longNames(option).map((name) => offerOf(name, option.description)),
  );
  const words = nextWords(command).map(({ word, description }) => offerOf(word, description));
  const files = takesPath(command) ? '_files' : ':';
  const rest = words.length > 0 ? `offers=(${words.join(' ')}); _describe -t commands command offers` : files;
  return `    '${placeOf(command)}') if [[ $PREFIX == -* ]]; then offers=(${options.join(' ')}); _describe -o -t options option offers; else ${rest}; fi ;;`;
}
