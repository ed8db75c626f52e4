import { allCommands, type DescribedCommand, type DescribedOption } from './described-command.ts';

/** A completion script for zsh, with descriptions; for a file `_latchkey` in \`fpath\`, or to be sourced. */
export function zshCompletion(program: DescribedCommand): string {
  const commands = allCommands(program);
  const valued = new Set(
    commands.flatMap(({ options }) =>
      options.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names),
    ),
  );
  return `#compdef latchkey
# zsh completion of latchkey: source <(latchkey completion zsh), after compinit
_latchkey() {
  local at='' before=$words[CURRENT-1] i
  local -a offers
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      ${[...valued].map((name) => `(${name})`).join('|')}) ((i++)); continue ;;
    esac
    case "$at $words[i]" in
      ${commands
        .filter(({ path }) => path.length > 0)
        .map(({ path }) => `(' ${path.join(' ')}')`)
        .join('|')}) at="$at $words[i]" ;;
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

const placeOf = ({ path }: DescribedCommand): string => path.map((word) => ` ${word}`).join('');

/** `name:description` in single quotes, as \`_describe\` reads it. */
const offerOf = (name: string, description: string): string =>
  `'${`${name.replaceAll(':', '\\\\:')}:${description}`.replaceAll("'", "'\\''").replaceAll('\n', ' ')}'`;

const long = ({ names }: DescribedOption): readonly string[] => names.filter((name) => name.startsWith('--'));

function valueCases(command: DescribedCommand): readonly string[] {
  return command.options
    .filter(({ takesValue }) => takesValue)
    .map(({ names, choices, isPath }) => {
      const patterns = names.map((name) => `('${placeOf(command)} ${name}')`).join('|');
      const offer = choices.length > 0 ? `compadd -- ${choices.join(' ')}` : isPath ? '_files' : ':';
      return `    ${patterns}) ${offer}; return ;;`;
    });
}

function nextCase(command: DescribedCommand): string {
  const options = command.options.flatMap((option) =>
    long(option).map((name) => offerOf(name, option.description)),
  );
  const words = [
    ...command.commands.map(({ path, description }) => offerOf(path.at(-1) ?? '', description)),
    ...command.args.flatMap(({ choices, description }) => choices.map((each) => offerOf(each, description))),
  ];
  const rest =
    words.length > 0
      ? `offers=(${words.join(' ')}); _describe -t commands command offers`
      : command.args.some(({ isPath }) => isPath)
        ? '_files'
        : ':';
  return `    '${placeOf(command)}') if [[ $PREFIX == -* ]]; then offers=(${options.join(' ')}); _describe -o -t options option offers; else ${rest}; fi ;;`;
}
