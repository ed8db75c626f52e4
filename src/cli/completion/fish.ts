import { allCommands, type DescribedCommand } from './described-command.ts';

/** A completion script for fish 3 or newer, with descriptions. */
export function fishCompletion(program: DescribedCommand): string {
  const commands = allCommands(program);
  const valued = new Set(
    commands.flatMap(({ options }) =>
      options.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names),
    ),
  );
  const paths = commands.filter(({ path }) => path.length > 0).map(({ path }) => `' ${path.join(' ')}'`);
  return `# fish completion of latchkey: latchkey completion fish | source
function __latchkey_at
    set -l at
    set -l isValue 0
    for word in (commandline -opc)[2..]
        if test $isValue = 1
            set isValue 0
        else if contains -- $word ${[...valued].join(' ')}
            set isValue 1
        else if contains -- "$at $word" ${paths.join(' ')}
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
  const place = command.path.map((word) => ` ${word}`).join('');
  const here = `complete -c latchkey -n ${quoted(`__latchkey_at ${quoted(place)}`)}`;
  const words = [
    ...command.commands.map(({ path, description }) => [path.at(-1) ?? '', description] as const),
    ...command.args.flatMap(({ choices, description }) =>
      choices.map((each) => [each, description] as const),
    ),
  ];
  return [
    ...words.map(([word, description]) => `${here} -a ${quoted(word)} -d ${quoted(description)}`),
    ...(command.args.some(({ isPath }) => isPath) ? [`${here} -F`] : []),
    ...command.options.map(({ names, description, takesValue, choices, isPath }) => {
      const flags = names.map((name) =>
        name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
      );
      const value = choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : isPath ? ' -r -F' : ' -x';
      return `${here} ${flags.join(' ')}${takesValue ? value : ''} -d ${quoted(description)}`;
    }),
  ];
}
