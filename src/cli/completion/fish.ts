import {
  allCommands,
  type DescribedCommand,
  nextWords,
  placeOf,
  quotedPlaces,
  takesPath,
  valuedNames,
} from './described-command.ts';

/** A completion script for fish 3 or newer, with descriptions. */
export function fishCompletion(program: DescribedCommand): string {
  const commands = allCommands(program);
  return `# fish completion of latchkey: latchkey completion fish | source
function __latchkey_at
    set -l at
    set -l isValue 0
    for word in (commandline -opc)[2..]
        if test $isValue = 1
            set isValue 0
        else if contains -- $word ${valuedNames(commands).join(' ')}
            set isValue 1
        else if contains -- "$at $word" ${quotedPlaces(commands).join(' ')}
            set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c latchkey -f
${commands.flatMap(linesOf).join('\n')}
`;
}

const quoted = (text: string): string =>
  `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', ' ')}'`;

function linesOf(command: DescribedCommand): readonly string[] {
  const here = `complete -c latchkey -n ${quoted(`__latchkey_at ${quoted(placeOf(command))}`)}`;
  return [
    ...nextWords(command).map(
      ({ word, description }) => `${here} -a ${quoted(word)} -d ${quoted(description)}`,
    ),
    ...(takesPath(command) ? [`${here} -F`] : []),
    ...command.options.map(({ names, description, takesValue, choices, isPath }) => {
      const flags = names.map((name) =>
        name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
      );
      const value = choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : isPath ? ' -r -F' : ' -x';
      return `${here} ${flags.join(' ')}${takesValue ? value : ''} -d ${quoted(description)}`;
    }),
  ];
}
