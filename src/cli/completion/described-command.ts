import type { Argument, Command, Option } from 'commander';

/** An option as completion and manual pages show it. */
export interface DescribedOption {
  /** Such as `--json`; also the short form where there is one. */
  readonly names: readonly string[];
  /** As in the help text, such as `--config <file>`. */
  readonly flags: string;
  readonly description: string;
  readonly takesValue: boolean;
  /** Values that are allowed; empty where the value is free. */
  readonly choices: readonly string[];
  /** Whether the value is the path of a file or a folder. */
  readonly isPath: boolean;
}

/** An argument without a name of its own on the command line. */
export interface DescribedArgument {
  /** As in the usage, such as `<file>` or `[files...]`. */
  readonly form: string;
  readonly description: string;
  readonly choices: readonly string[];
  readonly isPath: boolean;
}

/** A command with everything that can follow it. */
export interface DescribedCommand {
  /** The words after the program's name; none for the program itself. */
  readonly path: readonly string[];
  readonly description: string;
  readonly usage: string;
  readonly options: readonly DescribedOption[];
  readonly args: readonly DescribedArgument[];
  readonly commands: readonly DescribedCommand[];
}

/** Names that the help texts of this program give to values that are paths. */
const PATH = /\b(?:file|files|folder|pem|device|path|socket|answers)\b/;

/** What commander knows of a command and all commands below it. */
export function describeCommands(command: Command, path: readonly string[] = []): DescribedCommand {
  const help = command.createHelp();
  return {
    path,
    description: command.description(),
    usage: command.usage(),
    options: help.visibleOptions(command).map(describeOption),
    args: command.registeredArguments.map(describeArgument),
    commands: command.commands
      .map((child) => describeCommands(child, [...path, child.name()]))
      .sort((one, other) => (one.path.join() < other.path.join() ? -1 : 1)),
  };
}

/** A command and all commands below it, from the top down. */
export const allCommands = (command: DescribedCommand): readonly DescribedCommand[] => [
  command,
  ...command.commands.flatMap(allCommands),
];

/** Where a command stands on a line: a space before each word, and nothing for the program itself. */
export const placeOf = ({ path }: DescribedCommand): string => path.map((word) => ` ${word}`).join('');

/** The places of all commands below the program, each in single quotes of a shell. */
export const quotedPlaces = (commands: readonly DescribedCommand[]): readonly string[] =>
  commands.filter(({ path }) => path.length > 0).map((command) => `'${placeOf(command)}'`);

/** The names of all options that take a value, each once: the word after one is no command. */
export const valuedNames = (commands: readonly DescribedCommand[]): readonly string[] => [
  ...new Set(
    commands.flatMap(({ options }) =>
      options.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names),
    ),
  ),
];

/** The words that can stand next where no value is expected: commands, and allowed values of arguments. */
export const nextWords = ({
  commands,
  args,
}: DescribedCommand): readonly { readonly word: string; readonly description: string }[] => [
  ...commands.map(({ path, description }) => ({ word: path.at(-1) ?? '', description })),
  ...args.flatMap(({ choices, description }) => choices.map((word) => ({ word, description }))),
];

/** Whether a path can stand next where no value is expected. */
export const takesPath = ({ args }: DescribedCommand): boolean => args.some(({ isPath }) => isPath);

/** The long names of an option. */
export const longNames = ({ names }: DescribedOption): readonly string[] =>
  names.filter((name) => name.startsWith('--'));

function describeOption(option: Option): DescribedOption {
  const { flags, description, required, optional, argChoices, long, short } = option;
  return {
    names: [long, short].filter((name) => name !== undefined && name !== null),
    flags,
    description: withDefault(description, option),
    takesValue: required || optional,
    choices: argChoices ?? [],
    isPath: PATH.test(flags.replace(/^.*?[<[]/, '')),
  };
}

function withDefault(description: string, { defaultValue, argChoices }: Option): string {
  const more = [
    ...(argChoices === undefined ? [] : [`one of ${argChoices.join(', ')}`]),
    ...(defaultValue === undefined || typeof defaultValue === 'boolean'
      ? []
      : [`default ${String(defaultValue)}`]),
  ];
  return more.length === 0 ? description : `${description} (${more.join('; ')})`;
}

function describeArgument(argument: Argument): DescribedArgument {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return {
    form: argument.required ? `<${name}>` : `[${name}]`,
    description: argument.description,
    choices: argument.argChoices ?? [],
    isPath: PATH.test(argument.name()),
  };
}
